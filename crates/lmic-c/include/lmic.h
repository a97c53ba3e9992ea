/*
 * lmic: lossless compression by prediction. docs/c.md has an example.
 *
 * Made from crates/lmic-c/src: do not edit.
 *
 * - What can fail returns a status: LMIC_OK, LMIC_END (of a stream), or an error. lmic_last_error() says more.
 * - A pointer to something must point to one that is initialised and that nobody else writes during the call. A pointer to
 *   `len` bytes may be null if `len` is 0. Another null pointer is LMIC_INVALID_ARGUMENT, but for options (null: defaults)
 *   and what is freed (null: nothing is done).
 * - Functions may be called from any threads at once; a stream, an archive or a buffer from one thread at a time.
 */


#ifndef LMIC_H
#define LMIC_H

#include <stddef.h>
#include <stdint.h>

/*
 There may be more input after this.
 */
#define LMIC_RUN 0

/*
 There is no more input after this. From then on, give no more.
 */
#define LMIC_FINISH 1

/*
 How a call ended. Errors are sorted by what can be done about them.
 */
typedef enum {
  /*
   It is done; of a stream, so far.
   */
  LMIC_OK = 0,
  /*
   The stream is complete, and all of its output was written.
   */
  LMIC_END = 1,
  /*
   The bytes are not a valid archive, or were damaged. Get another copy.
   */
  LMIC_CORRUPT = 2,
  /*
   The archive ends too early. Get the rest.
   */
  LMIC_TRUNCATED = 3,
  /*
   Written by a newer lmic. Update this one.
   */
  LMIC_NEEDS_NEWER = 4,
  /*
   Coded with a model that is not in the library. The command and the libraries for Rust and Python read it.
   */
  LMIC_WRONG_MODEL = 5,
  /*
   It needs more memory than the limit allows. Raise the limit.
   */
  LMIC_MEMORY_LIMIT = 6,
  /*
   The system does not give the memory that is needed. Use fewer threads, or free some.
   */
  LMIC_OUT_OF_MEMORY = 7,
  /*
   An argument is outside its documented range, or null.
   */
  LMIC_INVALID_ARGUMENT = 8,
  /*
   Reading failed.
   */
  LMIC_IO = 9,
  /*
   A bug in lmic. What it happened in can only be freed.
   */
  LMIC_INTERNAL = 10,
} lmic_status;

/*
 An archive of which ranges are read, and only the blocks decoded that they touch.
 */
typedef struct lmic_archive lmic_archive;

/*
 An encoder or a decoder.
 */
typedef struct lmic_stream lmic_stream;

/*
 Bytes that the library has allocated. Give them back with lmic_buffer_free(), and not with free(): the length of an archive
 or of its content is not known before it is made, so the library allocates, by means of its own.
 */
typedef struct {
  /*
   Null if there are none.
   */
  uint8_t *data;
  /*
   Their number.
   */
  size_t len;
  /*
   Private to the library.
   */
  size_t capacity;
} lmic_buffer;

/*
 What can be chosen, for encoders and decoders. 0 is the default everywhere, so begin with `lmic_options options = {0};` and set
 what matters. Fields may be added in place of `reserved`.
 */
typedef struct {
  /*
   1 (fast) to 8 (strong); 0 is 7. 9 needs a network in the model folder. Decoders do not look at it.
   */
  int level;
  /*
   Threads that work at the same time; 0 is one per core. An archive is the same for any number.
   */
  uint32_t threads;
  /*
   Bytes of memory to keep to; 0 is 4 GiB, UINT64_MAX no limit. lmic_decompress() counts what it returns, too.
   */
  uint64_t memory;
  /*
   Bytes of content in a block, 256 to 256 MiB; 0 is the level's own. A range takes the time of the blocks that it touches, so
   small blocks are for archives of which ranges are read. Decoders do not look at it.
   */
  size_t block_size;
  /*
   Must be 0.
   */
  uint64_t reserved[4];
} lmic_options;

/*
 Bytes to be read: `data[pos]` to `data[len - 1]`. lmic_stream_run() moves `pos`.
 */
typedef struct {
  const void *data;
  size_t len;
  size_t pos;
} lmic_input;

/*
 Room to be written: `data[pos]` to `data[len - 1]`. lmic_stream_run() moves `pos`.
 */
typedef struct {
  void *data;
  size_t len;
  size_t pos;
} lmic_output;

/*
 Reads up to `len` bytes at `offset` of a file to `buffer`, as pread() does; returns their number, 0 behind the end, or a
 negative number if it fails. `context` is what was given to lmic_archive_open_with().
 */
typedef int64_t (*lmic_read_at)(void *context, uint64_t offset, void *buffer, size_t len);

/*
 One block of an archive.
 */
typedef struct {
  /*
   Where its content begins in the content of the archive.
   */
  uint64_t raw_offset;
  /*
   Bytes of content.
   */
  uint64_t raw_len;
  /*
   Where it begins in the file.
   */
  uint64_t file_offset;
  /*
   Bytes that code it, without its header and check.
   */
  uint64_t coded_len;
} lmic_block;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The version of the library, such as "0.1.0".
 */
const char *lmic_version(void);

/*
 What the last call that failed on this thread said: a clause in English without a full stop, in UTF-8. Null if none has
 failed. It is valid until the next call of lmic on this thread.
 */
const char *lmic_last_error(void);

/*
 Frees the bytes of a buffer and makes it empty. An empty one, and null, are left as they are.
 */
void lmic_buffer_free(lmic_buffer *buffer);

/*
 Compresses `len` bytes to an archive. After an error the buffer is empty.
 */
lmic_status lmic_compress(const void *data, size_t len, const lmic_options *options, lmic_buffer *archive);

/*
 Restores what an archive of `len` bytes holds, of all of its streams. After an error the buffer is empty: content is given out
 only if its checks held.
 */
lmic_status lmic_decompress(const void *archive,
                            size_t len,
                            const lmic_options *options,
                            lmic_buffer *content);

/*
 Makes an encoder, which writes one archive.
 */
lmic_status lmic_encoder_new(const lmic_options *options, lmic_stream **stream);

/*
 Makes a decoder, which reads an archive with all of its streams. It gives out no byte whose check it has not compared.
 */
lmic_status lmic_decoder_new(const lmic_options *options,
                             lmic_stream **stream);

/*
 Frees an encoder or decoder, at any time. What it has not written is lost; nothing waits for its threads.
 */
void lmic_stream_free(lmic_stream *stream);

/*
 Takes input and writes output, as far as there is some and room for it, and moves both positions. `action` is LMIC_RUN or
 LMIC_FINISH.

 LMIC_OK: it goes on. Give more input if all was taken, and more room if the room is full; with LMIC_FINISH call again until
 LMIC_END. LMIC_END: all was taken, all was written, and a decoder has found the archive whole. An error: the output before it
 is good, and the stream can only be freed.

 Blocks are coded on other threads. While these have room for more, a call with input does not wait for them, so output may come
 some blocks later. A decoder that is called with LMIC_RUN and without input waits: it writes all that can be had so far. An
 encoder has nothing to write before a block is full or the end comes.
 */
lmic_status lmic_stream_run(lmic_stream *stream,
                            lmic_input *input,
                            lmic_output *output,
                            int action);

/*
 Opens the archive in a file and reads its index.
 */
lmic_status lmic_archive_open(const char *path, const lmic_options *options, lmic_archive **archive);

/*
 Opens an archive in memory, which must stay as it is until the archive is freed.
 */
lmic_status lmic_archive_open_memory(const void *data,
                                     size_t len,
                                     const lmic_options *options,
                                     lmic_archive **archive);

/*
 Opens an archive of `len` bytes that a function reads. It is called during calls with this archive only, on their threads.
 */
lmic_status lmic_archive_open_with(lmic_read_at read_at,
                                   void *context,
                                   uint64_t len,
                                   const lmic_options *options,
                                   lmic_archive **archive);

/*
 Frees an archive.
 */
void lmic_archive_free(lmic_archive *archive);

/*
 Bytes of content; of null 0.
 */
uint64_t lmic_archive_raw_len(const lmic_archive *archive);

/*
 The number of blocks; of null 0.
 */
size_t lmic_archive_block_count(const lmic_archive *archive);

/*
 Finds the block of a byte of the content: `offset` is less than lmic_archive_raw_len(). All blocks are found by going on at
 `raw_offset + raw_len`.
 */
lmic_status lmic_archive_block_at(lmic_archive *archive,
                                  uint64_t offset,
                                  lmic_block *block);

/*
 Writes `len` bytes of content from `offset` on to `buffer`: all of them, or it fails. A range that passes the end is
 LMIC_INVALID_ARGUMENT. The checks of all blocks that it touches are compared. After an error other ranges may be read.
 */
lmic_status lmic_archive_read(lmic_archive *archive,
                              uint64_t offset,
                              void *buffer,
                              size_t len);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LMIC_H */

/* The whole interface, in the language that C99 and C++11 have in common. scripts/c.sh runs it, also under valgrind. */
#include <lmic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                              \
    do {                                                                                              \
        if (!(condition)) {                                                                           \
            const char *said = lmic_last_error();                                                     \
            fprintf(stderr, "line %d: %s; last error: %s\n", __LINE__, #condition, said ? said : "-"); \
            exit(1);                                                                                  \
        }                                                                                             \
    } while (0)

enum { LENGTH = 20000, BLOCK = 4096 };
static unsigned char content[LENGTH];

/* Words, with a stretch that no model knows. */
static void make_content(void) {
    static const char *const words[] = {"to be ", "or not ", "to be, ", "that is ", "the question\n"};
    unsigned random = 1;
    size_t at = 0;
    while (at < LENGTH) {
        const char *word;
        size_t length;
        random = random * 1103515245u + 12345u;
        word = words[(random >> 16) % 5];
        length = strlen(word) < LENGTH - at ? strlen(word) : LENGTH - at;
        memcpy(content + at, word, length);
        at += length;
    }
    for (at = 9000; at < 12000; at++) {
        random = random * 1103515245u + 12345u;
        content[at] = (unsigned char)(random >> 16);
    }
}

static lmic_options small_blocks(void) {
    lmic_options options = {0, 0, 0, 0, {0, 0, 0, 0}};
    options.level = 2;
    options.threads = 2;
    options.block_size = BLOCK;
    return options;
}

static lmic_buffer archive_of_content(void) {
    lmic_options options = small_blocks();
    lmic_buffer archive;
    CHECK(lmic_compress(content, LENGTH, &options, &archive) == LMIC_OK);
    CHECK(archive.len > 0 && archive.len < LENGTH / 2);
    return archive;
}

static void whole_inputs(void) {
    lmic_buffer archive = archive_of_content(), restored, empty;
    CHECK(lmic_decompress(archive.data, archive.len, NULL, &restored) == LMIC_OK);
    CHECK(restored.len == LENGTH && memcmp(restored.data, content, LENGTH) == 0);
    lmic_buffer_free(&restored);
    CHECK(restored.data == NULL && restored.len == 0);
    lmic_buffer_free(&restored);

    CHECK(lmic_compress(NULL, 0, NULL, &empty) == LMIC_OK);
    CHECK(lmic_decompress(empty.data, empty.len, NULL, &restored) == LMIC_OK);
    CHECK(restored.data == NULL && restored.len == 0);
    lmic_buffer_free(&empty);
    lmic_buffer_free(&archive);
}

/* Runs a stream over `data` in pieces; returns how it ended. */
static lmic_status run(lmic_stream *stream, const unsigned char *data, size_t len, size_t piece, size_t room,
                       unsigned char *out, size_t capacity, size_t *written) {
    lmic_input input = {data, 0, 0};
    lmic_output output = {out, 0, 0};
    lmic_status status;
    size_t before;
    do {
        if (input.pos == input.len)
            input.len = len - input.len < piece ? len : input.len + piece;
        if (output.pos == output.len)
            output.len = capacity - output.len < room ? capacity : output.len + room;
        before = input.pos + output.pos;
        status = lmic_stream_run(stream, &input, &output, input.len == len ? LMIC_FINISH : LMIC_RUN);
        CHECK(input.pos <= input.len && output.pos <= output.len);
        CHECK(status != LMIC_OK || input.pos + output.pos > before || input.pos == input.len);
    } while (status == LMIC_OK);
    *written = output.pos;
    return status;
}

static void streams(void) {
    static const size_t sizes[][2] = {{1, 1}, {7, 5000}, {5000, 3}, {2 * LENGTH, 2 * LENGTH}};
    lmic_buffer expected = archive_of_content();
    lmic_options options = small_blocks();
    unsigned char *out = (unsigned char *)malloc(2 * LENGTH);
    size_t i, written;
    for (i = 0; i < 4; i++) {
        lmic_stream *stream;
        CHECK(lmic_encoder_new(&options, &stream) == LMIC_OK);
        CHECK(run(stream, content, LENGTH, sizes[i][0], sizes[i][1], out, 2 * LENGTH, &written) == LMIC_END);
        CHECK(written == expected.len && memcmp(out, expected.data, written) == 0);
        lmic_stream_free(stream);

        CHECK(lmic_decoder_new(&options, &stream) == LMIC_OK);
        CHECK(run(stream, expected.data, expected.len, sizes[i][0], sizes[i][1], out, 2 * LENGTH, &written) == LMIC_END);
        CHECK(written == LENGTH && memcmp(out, content, LENGTH) == 0);
        lmic_stream_free(stream);
    }
    free(out);
    lmic_buffer_free(&expected);
}

/* Two archives with zeros between them are one. */
static void concatenated(void) {
    lmic_buffer one = archive_of_content();
    size_t len = 2 * one.len + 100, written;
    unsigned char *both = (unsigned char *)calloc(1, len), *out = (unsigned char *)malloc(2 * LENGTH);
    lmic_stream *stream;
    memcpy(both, one.data, one.len);
    memcpy(both + one.len + 60, one.data, one.len);
    CHECK(lmic_decoder_new(NULL, &stream) == LMIC_OK);
    CHECK(run(stream, both, len, 999, 777, out, 2 * LENGTH, &written) == LMIC_END);
    CHECK(written == 2 * LENGTH);
    CHECK(memcmp(out, content, LENGTH) == 0 && memcmp(out + LENGTH, content, LENGTH) == 0);
    lmic_stream_free(stream);
    free(both);
    free(out);
    lmic_buffer_free(&one);
}

static void damage(void) {
    lmic_buffer archive = archive_of_content(), restored;
    unsigned char *out = (unsigned char *)malloc(LENGTH);
    lmic_stream *stream;
    size_t written;
    CHECK(lmic_decompress(archive.data, archive.len - 1, NULL, &restored) == LMIC_TRUNCATED);
    CHECK(restored.data == NULL && strstr(lmic_last_error(), "ends at byte"));
    CHECK(lmic_decoder_new(NULL, &stream) == LMIC_OK);
    CHECK(run(stream, archive.data, archive.len - 1, 500, 500, out, LENGTH, &written) == LMIC_TRUNCATED);
    CHECK(written == LENGTH && memcmp(out, content, LENGTH) == 0);
    lmic_stream_free(stream);

    archive.data[archive.len / 2] ^= 4;
    CHECK(lmic_decompress(archive.data, archive.len, NULL, &restored) == LMIC_CORRUPT);
    CHECK(lmic_decoder_new(NULL, &stream) == LMIC_OK);
    CHECK(run(stream, archive.data, archive.len, 500, 500, out, LENGTH, &written) == LMIC_CORRUPT);
    CHECK(written < LENGTH && memcmp(out, content, written) == 0);
    lmic_stream_free(stream);

    archive.data[0] = 'x';
    CHECK(lmic_decompress(archive.data, archive.len, NULL, &restored) == LMIC_CORRUPT);
    free(out);
    lmic_buffer_free(&archive);
}

/* A file that is an array, which fails from `bad` on. */
struct file {
    const unsigned char *data;
    uint64_t len, bad;
    int calls;
};

#ifdef __cplusplus
extern "C" {
#endif
static int64_t read_at(void *context, uint64_t offset, void *buffer, size_t len) {
    struct file *file = (struct file *)context;
    file->calls++;
    if (offset + len > file->bad)
        return -1;
    /* As files may: less than asked. */
    if (len > 100)
        len = 100;
    if (len > file->len - offset)
        len = (size_t)(file->len - offset);
    memcpy(buffer, file->data + offset, len);
    return (int64_t)len;
}
#ifdef __cplusplus
}
#endif

static void read_ranges(lmic_archive *archive) {
    static unsigned char part[LENGTH];
    static const size_t ranges[][2] = {{0, 0}, {0, LENGTH}, {5000, 1}, {LENGTH, 0}, {8191, 2}, {100, 9000}};
    uint64_t offset = 0;
    size_t i, blocks = 0;
    CHECK(lmic_archive_raw_len(archive) == LENGTH);
    for (i = 0; i < 6; i++) {
        CHECK(lmic_archive_read(archive, ranges[i][0], part, ranges[i][1]) == LMIC_OK);
        CHECK(memcmp(part, content + ranges[i][0], ranges[i][1]) == 0);
    }
    CHECK(lmic_archive_read(archive, LENGTH - 1, part, 2) == LMIC_INVALID_ARGUMENT);
    CHECK(lmic_archive_read(archive, UINT64_MAX, part, 2) == LMIC_INVALID_ARGUMENT);
    while (offset < LENGTH) {
        lmic_block block;
        CHECK(lmic_archive_block_at(archive, offset + (offset > 0), &block) == LMIC_OK);
        CHECK(block.raw_offset == offset && block.raw_len > 0 && block.raw_len <= BLOCK);
        CHECK(block.coded_len > 0 && block.file_offset > 0);
        offset += block.raw_len;
        blocks++;
    }
    CHECK(blocks == lmic_archive_block_count(archive) && blocks == 5);
    CHECK(lmic_archive_block_at(archive, LENGTH, NULL) == LMIC_INVALID_ARGUMENT);
}

static void ranges(const char *path) {
    lmic_buffer coded = archive_of_content();
    struct file file = {coded.data, coded.len, UINT64_MAX, 0};
    unsigned char part[8];
    lmic_archive *archive;
    FILE *on_disk = fopen(path, "wb");
    CHECK(on_disk && fwrite(coded.data, 1, coded.len, on_disk) == coded.len && fclose(on_disk) == 0);

    CHECK(lmic_archive_open(path, NULL, &archive) == LMIC_OK);
    read_ranges(archive);
    lmic_archive_free(archive);
    CHECK(lmic_archive_open_memory(coded.data, coded.len, NULL, &archive) == LMIC_OK);
    read_ranges(archive);
    lmic_archive_free(archive);
    CHECK(lmic_archive_open_with(read_at, &file, file.len, NULL, &archive) == LMIC_OK);
    read_ranges(archive);
    CHECK(file.calls > 0);

    /* It goes on after an error. */
    file.bad = 0;
    CHECK(lmic_archive_read(archive, 0, part, 8) == LMIC_IO);
    file.bad = UINT64_MAX;
    CHECK(lmic_archive_read(archive, 0, part, 8) == LMIC_OK);
    lmic_archive_free(archive);

    CHECK(lmic_archive_open("/no/such/file", NULL, &archive) == LMIC_IO && archive == NULL);
    CHECK(strstr(lmic_last_error(), "/no/such/file"));
    CHECK(lmic_archive_open_memory(coded.data, coded.len - 1, NULL, &archive) == LMIC_TRUNCATED);
    lmic_buffer_free(&coded);
}

static void wrong_arguments(void) {
    lmic_options options = {0, 0, 0, 0, {0, 0, 0, 0}};
    lmic_input input = {"x", 1, 2};
    lmic_output output = {NULL, 0, 0};
    lmic_buffer buffer, archive = archive_of_content();
    lmic_stream *stream;
    lmic_archive *opened;

    CHECK(lmic_compress(content, LENGTH, NULL, NULL) == LMIC_INVALID_ARGUMENT);
    CHECK(lmic_compress(NULL, LENGTH, NULL, &buffer) == LMIC_INVALID_ARGUMENT && buffer.data == NULL);
    CHECK(lmic_compress(content, (size_t)-1, NULL, &buffer) == LMIC_INVALID_ARGUMENT);
    options.level = 10;
    CHECK(lmic_compress(content, 1, &options, &buffer) == LMIC_INVALID_ARGUMENT);
    CHECK(strstr(lmic_last_error(), "level"));
    options.level = -1;
    CHECK(lmic_encoder_new(&options, &stream) == LMIC_INVALID_ARGUMENT && stream == NULL);
    options.level = 0;
    options.block_size = 1;
    CHECK(lmic_encoder_new(&options, &stream) == LMIC_INVALID_ARGUMENT);
    options.block_size = 0;
    options.reserved[2] = 1;
    CHECK(lmic_decoder_new(&options, &stream) == LMIC_INVALID_ARGUMENT);
    options.reserved[2] = 0;
    options.memory = 1000;
    CHECK(lmic_decompress(archive.data, archive.len, &options, &buffer) == LMIC_MEMORY_LIMIT);
    options.memory = UINT64_MAX;
    CHECK(lmic_decompress(archive.data, archive.len, &options, &buffer) == LMIC_OK);
    lmic_buffer_free(&buffer);

    CHECK(lmic_encoder_new(NULL, NULL) == LMIC_INVALID_ARGUMENT);
    CHECK(lmic_encoder_new(NULL, &stream) == LMIC_OK);
    CHECK(lmic_stream_run(NULL, &input, &output, LMIC_RUN) == LMIC_INVALID_ARGUMENT);
    CHECK(lmic_stream_run(stream, NULL, &output, LMIC_RUN) == LMIC_INVALID_ARGUMENT);
    CHECK(lmic_stream_run(stream, &input, &output, LMIC_RUN) == LMIC_INVALID_ARGUMENT);
    input.pos = 0;
    CHECK(lmic_stream_run(stream, &input, &output, 2) == LMIC_INVALID_ARGUMENT && input.pos == 0);
    CHECK(lmic_stream_run(stream, &input, &output, LMIC_RUN) == LMIC_OK && input.pos == 1);
    lmic_stream_free(stream); /* in the middle */

    CHECK(lmic_archive_open(NULL, NULL, &opened) == LMIC_INVALID_ARGUMENT);
    CHECK(lmic_archive_open_with(NULL, NULL, 9, NULL, &opened) == LMIC_INVALID_ARGUMENT);
    CHECK(lmic_archive_open_memory(NULL, 0, NULL, &opened) == LMIC_TRUNCATED);
    CHECK(lmic_archive_read(NULL, 0, NULL, 0) == LMIC_INVALID_ARGUMENT);
    CHECK(lmic_archive_raw_len(NULL) == 0 && lmic_archive_block_count(NULL) == 0);
    lmic_archive_free(NULL);
    lmic_stream_free(NULL);
    lmic_buffer_free(NULL);
    lmic_buffer_free(&archive);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    CHECK(lmic_last_error() == NULL && strlen(lmic_version()) >= 5);
    make_content();
    whole_inputs();
    streams();
    concatenated();
    damage();
    ranges(argv[1]);
    wrong_arguments();
    puts("all of the interface does what lmic.h says");
    return 0;
}

/* libarchive reads a .tar.lmic by the first bytes of the archive, through the command: prints the names and sizes in it. */
#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>

int main(int argc, char **argv) {
    static const unsigned char signature[] = {0xb1, 'L', 'M', 'C'};
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    int status = ARCHIVE_FATAL;
    if (argc == 2
        && archive_read_support_filter_program_signature(archive, "lmic -dc", signature, sizeof signature) == ARCHIVE_OK
        && archive_read_support_format_tar(archive) == ARCHIVE_OK
        && archive_read_open_filename(archive, argv[1], 1 << 16) == ARCHIVE_OK) {
        while ((status = archive_read_next_header(archive, &entry)) == ARCHIVE_OK)
            printf("%s %lld\n", archive_entry_pathname(entry), (long long)archive_entry_size(entry));
    }
    if (status != ARCHIVE_EOF)
        fprintf(stderr, "%s\n", archive_error_string(archive));
    archive_read_free(archive);
    return status != ARCHIVE_EOF;
}

/* Threads do not share errors, and streams of several threads do not meet. */
#include <lmic.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void *fail_and_succeed(void *number) {
    int level = 100 + *(int *)number;
    lmic_options options = {0, 1, 0, 0, {0, 0, 0, 0}};
    char expected[32];
    int i;
    snprintf(expected, sizeof expected, "%d", level);
    for (i = 0; i < 50; i++) {
        lmic_buffer archive, content;
        options.level = level;
        if (lmic_compress("abc", 3, &options, &archive) != LMIC_INVALID_ARGUMENT || !strstr(lmic_last_error(), expected))
            return number;
        options.level = 1;
        if (lmic_compress(expected, 3, &options, &archive) != LMIC_OK)
            return number;
        if (lmic_decompress(archive.data, archive.len, &options, &content) != LMIC_OK || memcmp(content.data, expected, 3))
            return number;
        lmic_buffer_free(&archive);
        lmic_buffer_free(&content);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    int numbers[4], i, failed = 0;
    for (i = 0; i < 4; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, fail_and_succeed, &numbers[i]))
            return 1;
    }
    for (i = 0; i < 4; i++) {
        void *result;
        failed |= pthread_join(threads[i], &result) || result != NULL;
    }
    return failed;
}

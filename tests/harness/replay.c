/*
 * Runs a fuzz target over a folder of inputs, once each: what every ordinary test run does with the corpus.
 * Each input is also tried cut off at up to 64 places.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(struct bytes input)
{
    size_t step = input.len / 64 + 1;

    for (size_t len = input.len;; len = len > step ? len - step : 0) {
        AUTO(heap) uint8_t *exact = malloc(len ? len : 1); /* of exactly this size, so that ASan sees over-reads */

        if (!exact)
            abort();
        if (len > 0)
            memcpy(exact, input.at, len);
        (void) LLVMFuzzerTestOneInput(exact, len); /* always 0; a broken promise traps */
        if (len == 0)
            return;
    }
}

int main(int argc, char **argv)
{
    AUTO(dir) DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    size_t         n   = 0;
    struct err     err;

    if (!dir) {
        fprintf(stderr, "replay: no corpus folder %s\n", argc == 2 ? argv[1] : "given");
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        AUTO(buffer) struct buffer input = { 0 };
        char                       path[PATH_MAX];

        if (entry->d_name[0] == '.')
            continue;
        (void) snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name); /* a cut path fails to open below */
        if (!file_read(path, 16 << 20, &input, &err)) {
            fprintf(stderr, "replay: %s\n", err.text);
            return 1;
        }
        replay(buffer_bytes(&input));
        n++;
    }
    printf("%zu inputs replayed\n", n);
    return n > 0 ? 0 : 1;
}

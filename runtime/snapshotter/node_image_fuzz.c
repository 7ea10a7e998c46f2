#include <string.h>

#include "runtime/snapshotter/node_image.h"

/* A reference that is taken becomes a URL of its host, without anything that ends a URL's path or leaves it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct digest digest;
    char          url[NODE_URL_MAX];
    struct err    err;
    char         *reference = strndup((const char *) data, size);

    digest_of((struct bytes){ 0 }, DIGEST_SHA256, &digest);
    if (reference && node_image_url(reference, &digest, url, &err)) {
        const char *path = strstr(url, "/v2/");

        if (strncmp(url, "http", 4) != 0 || !path || strpbrk(url, "?#@\\% \t\r\n\"'") || strstr(path, "..") || strlen(url) + 1 >= sizeof url)
            __builtin_trap();
    }
    free(reference);
    return 0;
}

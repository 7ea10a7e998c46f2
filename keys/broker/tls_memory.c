#include "keys/broker/tls_memory.h"

#include <gnutls/gnutls.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void wiped_free(void *at)
{
    if (at)
        explicit_bzero(at, malloc_usable_size(at)); /* whole buffers of records: OpenSSL's own way is many times slower */
    free(at);
}

/* Never in place: what the system's own one leaves behind when it moves a block is not wiped. */
static void *wiped_realloc(void *at, size_t size)
{
    size_t held  = at ? malloc_usable_size(at) : 0;
    void  *moved = malloc(size);

    if (!moved)
        return NULL;
    if (at)
        memcpy(moved, at, held < size ? held : size);
    wiped_free(at);
    return moved;
}

void tls_memory_wipe(void)
{
    gnutls_realloc = wiped_realloc;
    gnutls_free    = wiped_free;
}

#include "keys/broker/tls_memory.h"

#include <gnutls/gnutls.h>

#include "base/bytes.h"

void tls_memory_wipe(void)
{
    gnutls_realloc = wiped_realloc;
    gnutls_free    = wiped_free;
}

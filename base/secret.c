#include "base/secret.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/ossl.h"

FALLIBLE secret_heap_open(struct err *err)
{
    struct rlimit no_core = { 0, 0 };

    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0)
        return err_os(err, "forbid core dumps");
    if (CRYPTO_secure_malloc_initialized())
        return true;
    if (CRYPTO_secure_malloc_init(SECRET_HEAP_LEN, 32) == 0)
        return err_openssl(err, ERR_OS, "open the heap for secrets");
    return true; /* 2 means that locking failed (a small RLIMIT_MEMLOCK): guarded and wiped all the same */
}

FALLIBLE secret_new(size_t len, struct secret *out, struct err *err)
{
    uint8_t *held;

    if (len == 0 || len > SECRET_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "a secret of %zu bytes; allowed are 1 to %d", len, SECRET_LEN_MAX);
    held = OPENSSL_secure_zalloc(len);
    if (!held)
        return fail_with(err, ERR_LIMIT, "the heap for secrets is full (%zu bytes wanted)", len);
    *out = (struct secret){ held, len };
    return true;
}

FALLIBLE secret_copy(struct bytes from, struct secret *out, struct err *err)
{
    struct secret s = { 0 };

    if (!secret_new(from.len, &s, err))
        return false;
    memcpy(s.held, from.at, from.len);
    *out = s;
    return true;
}

FALLIBLE secret_random(size_t len, struct secret *out, struct err *err)
{
    struct secret s = { 0 };

    if (!secret_new(len, &s, err))
        return false;
    if (RAND_priv_bytes(s.held, (int) len) != 1) {
        secret_free(&s);
        return err_openssl(err, ERR_OS, "random bytes for a secret");
    }
    *out = s;
    return true;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    return a->len == b->len && a->len > 0 && CRYPTO_memcmp(a->held, b->held, a->len) == 0;
}

void secret_free(struct secret *s)
{
    OPENSSL_secure_clear_free(s->held, s->len);
    *s = (struct secret){ 0 };
}

struct bytes secret_expose(const struct secret *s)
{
    return (struct bytes){ s->held, s->len };
}

#define OPENSSL_SUPPRESS_DEPRECATED /* of SHA256_Init and its like, which call no provider: see sha256_run */
#include "base/ossl.h"

#include <openssl/err.h>
#include <openssl/rand.h>

bool err_openssl(struct err *err, enum err_kind kind, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char   *why  = code ? ERR_reason_error_string(code) : NULL;

    (void) fail_with(err, kind, "%s%s%s", what, why ? ": " : "", why ? why : ""); /* a bad signature has no reason */
    ERR_clear_error();
    return false;
}

static EVP_CIPHER *gcm, *wrap; /* until the process ends */
static EVP_MD     *sha256;
static CRYPTO_ONCE fetched = CRYPTO_ONCE_STATIC_INIT;

static void fetch(void)
{
    gcm    = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    wrap   = EVP_CIPHER_fetch(NULL, "AES-256-WRAP", NULL);
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static void fetch_once(void)
{
    if (CRYPTO_THREAD_run_once(&fetched, fetch) != 1 || !gcm || !wrap || !sha256)
        abort();
}

const EVP_CIPHER *cipher_aes256_gcm(void)
{
    fetch_once();
    return gcm;
}

const EVP_CIPHER *cipher_aes256_wrap(void)
{
    fetch_once();
    return wrap;
}

const EVP_MD *digest_sha256(void)
{
    fetch_once();
    return sha256;
}

static void digest_of(const EVP_MD *md, struct bytes b, uint8_t *out)
{
    if (EVP_Digest(b.at, b.len, out, NULL, md, NULL) != 1)
        abort();
}

void sha256_begin(struct sha256_run *run) { (void) SHA256_Init(&run->state); } /* cannot fail, as the next two */
void sha256_update(struct sha256_run *run, struct bytes b) { (void) SHA256_Update(&run->state, b.at, b.len); }
void sha256_end(struct sha256_run *run, uint8_t out[static SHA256_LEN]) { (void) SHA256_Final(out, &run->state); }

void sha256_of(struct bytes b, uint8_t out[static SHA256_LEN])
{
    struct sha256_run run;

    sha256_begin(&run);
    sha256_update(&run, b);
    sha256_end(&run, out);
}

void sha384_of(struct bytes b, uint8_t out[static SHA384_LEN]) { digest_of(EVP_sha384(), b, out); }
void sha512_of(struct bytes b, uint8_t out[static SHA512_LEN]) { digest_of(EVP_sha512(), b, out); }

FALLIBLE random_bytes(uint8_t *out, size_t len, struct err *err)
{
    if (len > INT32_MAX)
        return fail_with(err, ERR_LIMIT, "%zu random bytes asked for at once", len);
    if (RAND_bytes(out, (int) len) != 1)
        return err_openssl(err, ERR_OS, "random bytes");
    return true;
}

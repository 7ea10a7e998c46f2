#include "keys/broker/tls_identity.h"

#include <openssl/pem.h>

enum { CHAIN_MAX = 16, BITS = 256 };

struct tls_identity {
    struct tls_identity *next; /* in `older` */
    EVP_PKEY        *key;
    gnutls_privkey_t handle; /* what GnuTLS sees of it */
    gnutls_pcert_st  chain[CHAIN_MAX];
    unsigned         n_chain;
};

/* GnuTLS asks without saying for whom. A handshake keeps the handle that it was given, hence the older ones. */
static struct tls_identity *shown, *older;

/* GnuTLS has hashed, and frees the signature. */
static int sign(gnutls_privkey_t handle, gnutls_sign_algorithm_t algorithm, void *owner, unsigned flags, const gnutls_datum_t *hash,
                gnutls_datum_t *signature)
{
    const struct tls_identity   *identity = owner;
    AUTO(pkey_ctx) EVP_PKEY_CTX *ctx      = EVP_PKEY_CTX_new(identity->key, NULL);
    size_t                       len      = (size_t) EVP_PKEY_get_size(identity->key);
    uint8_t                     *made     = gnutls_malloc(len);
    struct err                   ignored; /* GnuTLS has words of its own */

    (void) handle;
    (void) algorithm;
    (void) flags;
    if (ctx && made && EVP_PKEY_sign_init(ctx) == 1 && EVP_PKEY_sign(ctx, made, &len, hash->data, hash->size) == 1) {
        *signature = (gnutls_datum_t){ made, (unsigned) len };
        return 0;
    }
    gnutls_free(made);
    (void) err_openssl(&ignored, ERR_BUG, "sign a handshake"); /* drains the queue; false */
    return GNUTLS_E_PK_SIGN_FAILED;
}

static int about(gnutls_privkey_t handle, unsigned flags, void *owner)
{
    (void) handle;
    (void) owner;
    if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
        return GNUTLS_PK_ECDSA;
    if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
        return BITS;
    if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO) {
        gnutls_sign_algorithm_t algorithm = GNUTLS_FLAGS_TO_SIGN_ALGO(flags);

        return algorithm == GNUTLS_SIGN_ECDSA_SECP256R1_SHA256 || algorithm == GNUTLS_SIGN_ECDSA_SHA256 ||
               algorithm == GNUTLS_SIGN_ECDSA_SHA384 || algorithm == GNUTLS_SIGN_ECDSA_SHA512;
    }
    return -1; /* of no matter to us, and so unknown */
}

void tls_identity_free(struct tls_identity *identity)
{
    if (!identity)
        return;
    for (unsigned i = 0; i < identity->n_chain; i++)
        gnutls_pcert_deinit(&identity->chain[i]);
    if (identity->handle)
        gnutls_privkey_deinit(identity->handle);
    EVP_PKEY_free(identity->key);
    free(identity);
}

static bool is_p256(EVP_PKEY *key) { return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == BITS; }

static FALLIBLE gnutls_fails(int code, const char *what, struct err *err)
{
    return fail_with(err, ERR_CONFIG, "%s: %s", what, gnutls_strerror(code));
}

FALLIBLE tls_identity_new(struct bytes chain_pem, const struct secret *key_pem, struct tls_identity **out, struct err *err)
{
    AUTO(tls_identity) struct tls_identity *made = calloc(1, sizeof *made);
    AUTO(bio) BIO                          *bio  = BIO_new_mem_buf(secret_expose(key_pem).at, (int) key_pem->len);
    gnutls_datum_t                          text = { (unsigned char *) (uintptr_t) chain_pem.at, (unsigned) chain_pem.len }; /* only read */
    unsigned                                n    = CHAIN_MAX;
    int                                     code;

    if (!made || !bio)
        abort();
    made->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    if (!made->key)
        return err_openssl(err, ERR_CONFIG, "the key of TLS");
    *out = NULL;
    if (!is_p256(made->key))
        return true;
    code = gnutls_pcert_list_import_x509_raw(made->chain, &n, &text, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_SORT);
    if (code < 0)
        return gnutls_fails(code, "the certificates of TLS", err);
    made->n_chain = n;
    code = gnutls_privkey_init(&made->handle);
    if (code < 0)
        return gnutls_fails(code, "the key of TLS", err);
    code = gnutls_privkey_import_ext4(made->handle, made, NULL, sign, NULL, NULL, about, 0);
    if (code < 0)
        return gnutls_fails(code, "the key of TLS", err);
    *out = TAKE(made);
    return true;
}

void tls_identity_show(struct tls_identity *identity_take)
{
    if (shown) {
        shown->next = older;
        older       = shown;
    }
    shown = identity_take;
}

bool tls_identity_is_shown(void) { return shown != NULL; }

void tls_identity_forget_older(void)
{
    while (older) {
        struct tls_identity *next = older->next;

        tls_identity_free(older);
        older = next;
    }
}

int tls_identity_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **certs, unsigned *n_certs,
                          gnutls_ocsp_data_st **ocsp, unsigned *n_ocsp, gnutls_privkey_t *key, unsigned *flags)
{
    (void) session;
    (void) info;
    if (!shown)
        return -1;
    *certs   = shown->chain;
    *n_certs = shown->n_chain;
    *ocsp    = NULL;
    *n_ocsp  = 0;
    *key     = shown->handle;
    *flags   = 0; /* all of it stays ours */
    return 0;
}

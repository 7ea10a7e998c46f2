#include "keys/broker/credentials.h"

#include <limits.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "keys/store/store_key.h"

enum { FILE_LEN_MAX = 64 << 10, DAY = 86400, DAYS_CA = 3650, DAYS_LEAF = 825 };

DEFINE_AUTO(x509_extension, X509_EXTENSION *, X509_EXTENSION_free)

void credentials_free(struct credentials *c)
{
    buffer_free(&c->tls_certificate);
    secret_free(&c->tls_key);
    EVP_PKEY_free(c->token_key);
    buffer_free(&c->token_certificate);
    EVP_PKEY_free(c->admin_key);
    buffer_free(&c->admin_client_ca);
    secret_free(&c->store_key);
    *c = (struct credentials){ 0 };
}

/* ---- reading ---- */

static FALLIBLE private_file_check(const char *path, struct err *err)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return fail_with(err, ERR_CONFIG, "there is no %s", path);
    if (st.st_mode & 077)
        return fail_with(err, ERR_CONFIG, "%s is a private key that others may read: chmod 600 it", path);
    return true;
}

FALLIBLE credentials_secret_read(const char *path, struct secret *out, struct err *err)
{
    AUTO(buffer) struct buffer content = { 0 };
    bool                       copied;

    if (!private_file_check(path, err) || !file_read(path, FILE_LEN_MAX, &content, err))
        return false;
    (void) buffer_text(&content); /* PEM goes to a library that wants its end marked */
    copied = secret_copy(buffer_bytes(&content), out, err);
    OPENSSL_cleanse(content.at, content.len);
    return copied || context(err, path);
}

static FALLIBLE private_key_read(const char *path, EVP_PKEY **out, struct err *err)
{
    AUTO(secret) struct secret pem = { 0 };
    AUTO(bio) BIO             *bio = NULL;

    if (!credentials_secret_read(path, &pem, err))
        return false;
    bio  = BIO_new_mem_buf(pem.held, (int) pem.len);
    *out = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    return *out || err_openssl(err, ERR_CONFIG, "no private key in PEM") || context(err, path);
}

static FALLIBLE certificate_read(const char *path, EVP_PKEY *key, struct buffer *der, struct err *err)
{
    AUTO(buffer) struct buffer pem  = { 0 };
    AUTO(bio) BIO             *bio  = NULL;
    AUTO(x509) X509           *x509 = NULL;
    unsigned char             *at   = NULL;
    int                        len;

    if (!file_read(path, FILE_LEN_MAX, &pem, err))
        return false;
    bio  = BIO_new_mem_buf(pem.at, (int) pem.len);
    x509 = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    if (!x509 || (len = i2d_X509(x509, &at)) <= 0)
        return err_openssl(err, ERR_CONFIG, "no certificate in PEM") || context(err, path);
    buffer_append(der, (struct bytes){ at, (size_t) len });
    OPENSSL_free(at);
    if (X509_check_private_key(x509, key) != 1)
        return fail_with(err, ERR_CONFIG, "%s does not belong to the private key beside it", path);
    return true;
}

static FALLIBLE admin_key_read(const char *path, EVP_PKEY **out, struct err *err)
{
    AUTO(buffer) struct buffer pem = { 0 };
    AUTO(bio) BIO             *bio = NULL;

    if (!file_read(path, FILE_LEN_MAX, &pem, err))
        return false;
    bio  = BIO_new_mem_buf(pem.at, (int) pem.len);
    *out = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    if (!*out)
        return err_openssl(err, ERR_CONFIG, "no public key in PEM") || context(err, path);
    if (!EVP_PKEY_is_a(*out, "ED25519") && !(EVP_PKEY_is_a(*out, "EC") && EVP_PKEY_get_bits(*out) == 256))
        return fail_with(err, ERR_CONFIG, "%s: the administrator's key is neither Ed25519 nor P-256", path);
    return true;
}

FALLIBLE credentials_load(const struct credential_paths *paths, struct credentials *out, struct err *err)
{
    AUTO(credentials) struct credentials read = { 0 };

    if ((paths->tls_certificate && !file_read(paths->tls_certificate, FILE_LEN_MAX, &read.tls_certificate, err)) ||
        (paths->tls_key && !credentials_secret_read(paths->tls_key, &read.tls_key, err)) || !private_key_read(paths->token_key, &read.token_key, err) ||
        !certificate_read(paths->token_certificate, read.token_key, &read.token_certificate, err) ||
        (paths->admin_client_ca && !file_read(paths->admin_client_ca, FILE_LEN_MAX, &read.admin_client_ca, err)) ||
        (paths->admin_key && !admin_key_read(paths->admin_key, &read.admin_key, err)) ||
        !store_key_read(paths->store_key, &read.store_key, err))
        return false;
    if (!EVP_PKEY_is_a(read.token_key, "EC") || EVP_PKEY_get_bits(read.token_key) != 256)
        return fail_with(err, ERR_CONFIG, "%s: tokens are signed with ES256, which wants a P-256 key", paths->token_key);
    *out = TAKE(read);
    return true;
}

/* ---- making ---- */

static FALLIBLE path_in(const char *folder, const char *name, char path[static PATH_MAX], struct err *err)
{
    if ((size_t) snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        return fail_with(err, ERR_CONFIG, "the path of %s is too long", name);
    return true;
}

static FALLIBLE bio_store(const char *folder, const char *name, BIO *bio, mode_t mode, struct err *err)
{
    char  path[PATH_MAX];
    char *at;
    long  len = BIO_get_mem_data(bio, &at);

    return path_in(folder, name, path, err) &&
           file_write(path, (struct bytes){ (const uint8_t *) at, (size_t) len }, mode, err);
}

static FALLIBLE private_key_store(const char *folder, const char *name, EVP_PKEY *key, struct err *err)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_secmem());

    if (!bio || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return err_openssl(err, ERR_BUG, name);
    return bio_store(folder, name, bio, 0600, err);
}

static FALLIBLE certificate_store(const char *folder, const char *name, X509 *certificate, struct err *err)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());

    if (!bio || PEM_write_bio_X509(bio, certificate) != 1)
        return err_openssl(err, ERR_BUG, name);
    return bio_store(folder, name, bio, 0644, err);
}

struct leaf {
    const char *cn;
    int         days;
    const char *const (*extensions)[2]; /* OpenSSL's name and value; ends with NULL */
};

static const char *const CA_EXTENSIONS[][2] = {
    { "basicConstraints", "critical,CA:TRUE,pathlen:0" }, { "keyUsage", "critical,keyCertSign,cRLSign" },
    { "subjectKeyIdentifier", "hash" }, { NULL, NULL },
};
static const char *const SERVER_EXTENSIONS[][2] = {
    { "basicConstraints", "critical,CA:FALSE" }, { "keyUsage", "critical,digitalSignature" },
    { "extendedKeyUsage", "serverAuth" }, { "subjectKeyIdentifier", "hash" }, { "authorityKeyIdentifier", "keyid" },
    { "subjectAltName", "IP:127.0.0.1,IP:::1,DNS:localhost" }, { NULL, NULL },
};
static const char *const TOKEN_EXTENSIONS[][2] = {
    { "basicConstraints", "critical,CA:FALSE" }, { "keyUsage", "critical,digitalSignature" },
    { "subjectKeyIdentifier", "hash" }, { "authorityKeyIdentifier", "keyid" }, { NULL, NULL },
};

static FALLIBLE serial_set(X509 *certificate, struct err *err)
{
    AUTO(bn) BIGNUM *serial = BN_new();

    if (!serial || BN_rand(serial, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
        !BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate)))
        return err_openssl(err, ERR_BUG, "certificate serial");
    return true;
}

static FALLIBLE certificate_make(const struct leaf *leaf, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, int64_t now,
                                 X509 **out, struct err *err)
{
    AUTO(x509) X509 *made  = X509_new();
    time_t           start = (time_t) now - DAY;
    X509V3_CTX       ctx;

    if (!made || X509_set_version(made, X509_VERSION_3) != 1 || X509_set_pubkey(made, key) != 1 ||
        !X509_time_adj_ex(X509_getm_notBefore(made), 0, 0, &start) ||
        !X509_time_adj_ex(X509_getm_notAfter(made), leaf->days, 0, &start) ||
        X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8, (const unsigned char *) leaf->cn, -1,
                                   -1, 0) != 1 ||
        X509_set_issuer_name(made, X509_get_subject_name(issuer ? issuer : made)) != 1)
        return err_openssl(err, ERR_BUG, leaf->cn);
    if (!serial_set(made, err))
        return false;
    X509V3_set_ctx(&ctx, issuer ? issuer : made, made, NULL, NULL, 0);
    for (size_t i = 0; leaf->extensions[i][0]; i++) {
        AUTO(x509_extension) X509_EXTENSION *e =
            X509V3_EXT_nconf(NULL, &ctx, leaf->extensions[i][0], leaf->extensions[i][1]);

        if (!e || X509_add_ext(made, e, -1) != 1)
            return err_openssl(err, ERR_BUG, leaf->extensions[i][0]);
    }
    if (X509_sign(made, issuer_key, EVP_sha256()) <= 0)
        return err_openssl(err, ERR_BUG, leaf->cn);
    *out = TAKE(made);
    return true;
}

/* CA, server and token certificates belong together: they are made together. */
static FALLIBLE certificates_make(const char *folder, int64_t now, struct err *err)
{
    static const struct leaf CA     = { "Cloister broker CA", DAYS_CA, CA_EXTENSIONS };
    static const struct leaf SERVER = { "Cloister broker", DAYS_LEAF, SERVER_EXTENSIONS };
    static const struct leaf TOKEN  = { "Cloister broker tokens", DAYS_LEAF, TOKEN_EXTENSIONS };
    AUTO(pkey) EVP_PKEY     *ca_key = EVP_EC_gen("P-256");
    AUTO(pkey) EVP_PKEY     *server_key = EVP_EC_gen("P-256");
    AUTO(pkey) EVP_PKEY     *token_key  = EVP_EC_gen("P-256");
    AUTO(x509) X509         *ca     = NULL;
    AUTO(x509) X509         *server = NULL;
    AUTO(x509) X509         *token  = NULL;

    if (!ca_key || !server_key || !token_key)
        return err_openssl(err, ERR_OS, "generate keys");
    return certificate_make(&CA, ca_key, NULL, ca_key, now, &ca, err) &&
           certificate_make(&SERVER, server_key, ca, ca_key, now, &server, err) &&
           certificate_make(&TOKEN, token_key, ca, ca_key, now, &token, err) &&
           private_key_store(folder, "ca.key", ca_key, err) && private_key_store(folder, "server.key", server_key, err) &&
           private_key_store(folder, "token.key", token_key, err) && certificate_store(folder, "server.pem", server, err) &&
           certificate_store(folder, "token.pem", token, err) && certificate_store(folder, "ca.pem", ca, err);
}

static FALLIBLE admin_make(const char *folder, struct err *err)
{
    AUTO(pkey) EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    AUTO(bio) BIO       *bio = BIO_new(BIO_s_mem());

    if (!key || !bio || PEM_write_bio_PUBKEY(bio, key) != 1)
        return err_openssl(err, ERR_OS, "generate the administrator's key");
    return private_key_store(folder, "admin.key", key, err) && bio_store(folder, "admin.pub", bio, 0644, err);
}

static FALLIBLE store_key_add(const char *folder, struct err *err)
{
    char path[PATH_MAX];

    return path_in(folder, "store.key", path, err) && store_key_make(path, err);
}

static bool exists(const char *folder, const char *name)
{
    char       path[PATH_MAX];
    struct err ignored; /* a path too long does not exist */

    return path_in(folder, name, path, &ignored) && access(path, F_OK) == 0;
}

FALLIBLE credentials_make(const char *folder, int64_t now, struct err *err)
{
    /* the file named is the last that its maker writes */
    if (!exists(folder, "ca.pem") && !certificates_make(folder, now, err))
        return context(err, "make certificates");
    if (!exists(folder, "admin.pub") && !admin_make(folder, err))
        return context(err, "make the administrator's key");
    if (!exists(folder, "store.key") && !store_key_add(folder, err))
        return context(err, "make the store's key");
    return true;
}

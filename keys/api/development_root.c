#include "keys/api/development_root.h"

#include <stdio.h>

#include <limits.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

enum { RSA_BITS = 4096, SALT_LEN = 48, DAY = 86400, YEARS_CA = 25, YEARS_VCEK = 7, FILE_LEN_MAX = 16 << 10 };

DEFINE_AUTO(x509_name, X509_NAME *, X509_NAME_free)
DEFINE_AUTO(asn1_object, ASN1_OBJECT *, ASN1_OBJECT_free)
DEFINE_AUTO(asn1_octets, ASN1_OCTET_STRING *, ASN1_OCTET_STRING_free)
DEFINE_AUTO(extension, X509_EXTENSION *, X509_EXTENSION_free)

void development_root_free(struct development_root *root)
{
    EVP_PKEY_free(root->vcek_key);
    buffer_free(&root->ark);
    buffer_free(&root->ask);
    buffer_free(&root->vcek);
    *root = (struct development_root){ 0 };
}

/* AMD's order of name parts; the organisation says what this is. */
static FALLIBLE name_make(const char *cn, X509_NAME **out, struct err *err)
{
    const char *const parts[][2] = {
        { "OU", "Engineering" }, { "C", "US" }, { "L", "Santa Clara" }, { "ST", "CA" },
        { "O", "Cloister development root: protects nothing" }, { "CN", cn },
    };
    AUTO(x509_name) X509_NAME *name = X509_NAME_new();

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!name || X509_NAME_add_entry_by_txt(name, parts[i][0], MBSTRING_UTF8, (const unsigned char *) parts[i][1], -1,
                                                -1, 0) != 1)
            return err_openssl(err, ERR_BUG, "certificate name");
    }
    *out = TAKE(name);
    return true;
}

struct subject {
    const char *cn;
    EVP_PKEY   *key;
    long        serial;
    int         years;
    const char *const (*extensions)[2]; /* OpenSSL's name and value; ends with NULL */
};

static const char *const ARK_EXTENSIONS[][2] = {
    { "keyUsage", "critical,keyCertSign,cRLSign" }, { "subjectKeyIdentifier", "hash" },
    { "basicConstraints", "critical,CA:TRUE" }, { NULL, NULL },
};
static const char *const ASK_EXTENSIONS[][2] = {
    { "subjectKeyIdentifier", "hash" }, { "authorityKeyIdentifier", "keyid:always" },
    { "basicConstraints", "critical,CA:TRUE,pathlen:0" }, { "keyUsage", "critical,keyCertSign" }, { NULL, NULL },
};
static const char *const VCEK_EXTENSIONS[][2] = { { NULL, NULL } };

static FALLIBLE extensions_add(X509 *certificate, X509 *issuer, const struct subject *subject, struct err *err)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    for (size_t i = 0; subject->extensions[i][0]; i++) {
        AUTO(extension) X509_EXTENSION *e =
            X509V3_EXT_nconf(NULL, &ctx, subject->extensions[i][0], subject->extensions[i][1]);

        if (!e || X509_add_ext(certificate, e, -1) != 1)
            return err_openssl(err, ERR_BUG, subject->extensions[i][0]);
    }
    return true;
}

/* AMD's private extensions, 1.3.6.1.4.1.3704.1.X, hold DER, except .4, which holds the bare chip id. [snp.md 2.2] */
static FALLIBLE amd_extension_add(X509 *certificate, const char *suffix, struct bytes value, struct err *err)
{
    char                               oid[64];
    AUTO(asn1_object) ASN1_OBJECT     *object = NULL;
    AUTO(asn1_octets) ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    AUTO(extension) X509_EXTENSION    *e      = NULL;

    (void) snprintf(oid, sizeof oid, "1.3.6.1.4.1.3704.1.%s", suffix); /* suffixes are ours: it fits */
    object = OBJ_txt2obj(oid, 1);
    if (!object || !octets || ASN1_OCTET_STRING_set(octets, value.at, (int) value.len) != 1 ||
        !(e = X509_EXTENSION_create_by_OBJ(NULL, object, 0, octets)) || X509_add_ext(certificate, e, -1) != 1)
        return err_openssl(err, ERR_BUG, "AMD extension");
    return true;
}

static FALLIBLE amd_extensions_add(X509 *vcek, const uint8_t chip_id[static DEVELOPMENT_CHIP_ID_LEN], struct err *err)
{
    static const struct { const char *suffix; uint8_t value; } LEVELS[] = {
        { "1", 0 },   { "3.1", DEVELOPMENT_BOOTLOADER }, { "3.2", DEVELOPMENT_TEE }, { "3.3", DEVELOPMENT_SNP },
        { "3.4", 0 }, { "3.5", 0 },                      { "3.6", 0 },               { "3.7", 0 },
        { "3.8", DEVELOPMENT_MICROCODE },
    };
    static const uint8_t PRODUCT[] = { 0x16, 5, 'G', 'e', 'n', 'o', 'a' }; /* IA5String */

    for (size_t i = 0; i < sizeof LEVELS / sizeof *LEVELS; i++) {
        uint8_t integer[] = { 2, 1, LEVELS[i].value }; /* all below 0x80 */

        if (!amd_extension_add(vcek, LEVELS[i].suffix, BYTES_OF(integer), err))
            return false;
    }
    return amd_extension_add(vcek, "2", BYTES_OF(PRODUCT), err) &&
           amd_extension_add(vcek, "4", (struct bytes){ chip_id, DEVELOPMENT_CHIP_ID_LEN }, err);
}

/* RSASSA-PSS, SHA-384, MGF1-SHA-384, salt 48: the one form in AMD's chain. */
static FALLIBLE pss_sign(X509 *certificate, EVP_PKEY *issuer_key, struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX *md  = EVP_MD_CTX_new();
    EVP_PKEY_CTX            *ctx = NULL;

    if (!md || EVP_DigestSignInit(md, &ctx, EVP_sha384(), NULL, issuer_key) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, SALT_LEN) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha384()) != 1 || X509_sign_ctx(certificate, md) <= 0)
        return err_openssl(err, ERR_BUG, "sign a certificate");
    return true;
}

/* Everything but the signature. `issuer` may be NULL: self-issued. */
static FALLIBLE certificate_prepare(const struct subject *subject, X509 *issuer, int64_t now, X509 **out,
                                    struct err *err)
{
    AUTO(x509) X509           *made  = X509_new();
    AUTO(x509_name) X509_NAME *name  = NULL;
    time_t                     start = (time_t) now - DAY;

    if (!name_make(subject->cn, &name, err))
        return false;
    if (!made || X509_set_version(made, X509_VERSION_3) != 1 ||
        ASN1_INTEGER_set(X509_get_serialNumber(made), subject->serial) != 1 || X509_set_subject_name(made, name) != 1 ||
        X509_set_issuer_name(made, issuer ? X509_get_subject_name(issuer) : name) != 1 ||
        X509_set_pubkey(made, subject->key) != 1 || !X509_time_adj_ex(X509_getm_notBefore(made), 0, 0, &start) ||
        !X509_time_adj_ex(X509_getm_notAfter(made), 365 * subject->years, 0, &start))
        return err_openssl(err, ERR_BUG, subject->cn);
    if (!extensions_add(made, issuer ? issuer : made, subject, err))
        return false;
    *out = TAKE(made);
    return true;
}

/* The chip's id is the digest of its key: unique to this root, and nothing more to keep. */
static FALLIBLE chip_id_of(EVP_PKEY *vcek_key, uint8_t out[static DEVELOPMENT_CHIP_ID_LEN], struct err *err)
{
    unsigned char *spki = NULL;
    int            len  = i2d_PUBKEY(vcek_key, &spki);

    if (len <= 0)
        return err_openssl(err, ERR_BUG, "encode the VCEK's key");
    sha512_of((struct bytes){ spki, (size_t) len }, out);
    OPENSSL_free(spki);
    return true;
}

static FALLIBLE store(const char *folder, const char *name, struct bytes content, mode_t mode, struct err *err)
{
    char path[PATH_MAX];

    if ((size_t) snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return fail_with(err, ERR_CONFIG, "the path of %s is too long", name);
    return file_write(path, content, mode, err);
}

static FALLIBLE certificate_store(const char *folder, const char *name, X509 *certificate, struct err *err)
{
    unsigned char *der = NULL;
    int            len = i2d_X509(certificate, &der);
    bool           stored;

    if (len <= 0)
        return err_openssl(err, ERR_BUG, name);
    stored = store(folder, name, (struct bytes){ der, (size_t) len }, 0644, err);
    OPENSSL_free(der);
    return stored;
}

static FALLIBLE key_store(const char *folder, EVP_PKEY *key, struct err *err)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_secmem());
    char          *at;
    long           len;

    if (!bio || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return err_openssl(err, ERR_BUG, "vcek.key");
    len = BIO_get_mem_data(bio, &at);
    return store(folder, "vcek.key", (struct bytes){ (const uint8_t *) at, (size_t) len }, 0600, err);
}

struct chain {
    EVP_PKEY *ark_key, *ask_key, *vcek_key;
    X509     *ark, *ask, *vcek;
};

static void auto_chain(struct chain *c)
{
    EVP_PKEY_free(c->ark_key);
    EVP_PKEY_free(c->ask_key);
    EVP_PKEY_free(c->vcek_key);
    X509_free(c->ark);
    X509_free(c->ask);
    X509_free(c->vcek);
}

static FALLIBLE chain_make(int64_t now, struct chain *c, struct err *err)
{
    uint8_t chip_id[DEVELOPMENT_CHIP_ID_LEN];

    c->ark_key  = EVP_RSA_gen(RSA_BITS);
    c->ask_key  = EVP_RSA_gen(RSA_BITS);
    c->vcek_key = EVP_EC_gen("P-384");
    if (!c->ark_key || !c->ask_key || !c->vcek_key)
        return err_openssl(err, ERR_OS, "generate keys");

    struct subject ark  = { "ARK-" DEVELOPMENT_PRODUCT, c->ark_key, 1, YEARS_CA, ARK_EXTENSIONS };
    struct subject ask  = { "SEV-" DEVELOPMENT_PRODUCT, c->ask_key, 2, YEARS_CA, ASK_EXTENSIONS };
    struct subject vcek = { "SEV-VCEK", c->vcek_key, 0, YEARS_VCEK, VCEK_EXTENSIONS };

    return certificate_prepare(&ark, NULL, now, &c->ark, err) && pss_sign(c->ark, c->ark_key, err) &&
           certificate_prepare(&ask, c->ark, now, &c->ask, err) && pss_sign(c->ask, c->ark_key, err) &&
           certificate_prepare(&vcek, c->ask, now, &c->vcek, err) && chip_id_of(c->vcek_key, chip_id, err) &&
           amd_extensions_add(c->vcek, chip_id, err) && pss_sign(c->vcek, c->ask_key, err);
}

/* Puts a whole folder where others look for it. Whoever was first wins: two makers at once end with one root. */
static FALLIBLE folder_publish(const char *made, const char *folder, struct err *err)
{
    if (rename(made, folder) == 0)
        return true;
    if (development_root_exists(folder))
        return directory_remove(made, err);
    if (!directory_remove(folder, err)) /* one that was left half made */
        return false;
    return rename(made, folder) == 0 || err_os(err, "rename %s to %s", made, folder);
}

static FALLIBLE folder_make_beside(const char *folder, char made[static PATH_MAX], struct err *err)
{
    AUTO(text) char *parent = strdup(folder);
    char            *slash;

    if (!parent)
        abort();
    if ((size_t) snprintf(made, PATH_MAX, "%s.XXXXXX", folder) >= PATH_MAX)
        return fail_with(err, ERR_CONFIG, "the path of the development root is too long");
    slash = strrchr(parent, '/');
    if (slash && slash != parent) {
        *slash = 0;
        if (!directory_make(parent, err))
            return false;
    }
    if (!mkdtemp(made) || chmod(made, 0755) < 0)
        return err_os(err, "make %s", made);
    return true;
}

FALLIBLE development_root_make(const char *folder, int64_t now, struct err *err)
{
    AUTO(chain) struct chain c = { 0 };
    char                     made[PATH_MAX];
    struct err               ignored; /* what failed before is what the caller hears of */

    if (!chain_make(now, &c, err) || !folder_make_beside(folder, made, err))
        return context(err, "make the development root");
    if (certificate_store(made, "ark.der", c.ark, err) && certificate_store(made, "ask.der", c.ask, err) &&
        certificate_store(made, "vcek.der", c.vcek, err) && key_store(made, c.vcek_key, err) &&
        folder_publish(made, folder, err))
        return true;
    (void) !directory_remove(made, &ignored); /* at worst some clutter stays */
    return context(err, "make the development root");
}

bool development_root_exists(const char *folder)
{
    char path[PATH_MAX];

    (void) snprintf(path, sizeof path, "%s/vcek.key", folder); /* a cut path does not exist */
    return access(path, F_OK) == 0;
}

static FALLIBLE part_load(const char *folder, const char *name, struct buffer *out, struct err *err)
{
    char path[PATH_MAX];

    (void) snprintf(path, sizeof path, "%s/%s", folder, name); /* a cut path does not exist */
    return file_read(path, FILE_LEN_MAX, out, err);
}

FALLIBLE development_root_load(const char *folder, struct development_root *out, struct err *err)
{
    AUTO(development_root) struct development_root read = { 0 };
    AUTO(buffer) struct buffer                     pem  = { 0 };
    AUTO(bio) BIO                                 *bio  = NULL;
    AUTO(x509) X509                               *vcek = NULL;
    const unsigned char                           *at;

    if (!part_load(folder, "ark.der", &read.ark, err) || !part_load(folder, "ask.der", &read.ask, err) ||
        !part_load(folder, "vcek.der", &read.vcek, err) || !part_load(folder, "vcek.key", &pem, err))
        return context(err, "development root");
    bio           = BIO_new_mem_buf(pem.at, (int) pem.len);
    read.vcek_key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    at            = read.vcek.at;
    vcek          = d2i_X509(NULL, &at, (long) read.vcek.len);
    if (!read.vcek_key || !vcek)
        return err_openssl(err, ERR_MALFORMED, "development root: read the VCEK and its key");
    if (X509_check_private_key(vcek, read.vcek_key) != 1)
        return err_openssl(err, ERR_UNTRUSTED, "development root: vcek.key and vcek.der do not belong together");
    if (!chip_id_of(read.vcek_key, read.chip_id, err))
        return false;
    *out = TAKE(read);
    return true;
}

void development_root_folder(char **out)
{
    const char *named = getenv("CLOISTER_DEVELOPMENT_ROOT"), *shared = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int         n;

    if (named && named[0])
        n = asprintf(out, "%s", named);
    else if (shared && shared[0] == '/')
        n = asprintf(out, "%s/cloister/" DEVELOPMENT_FOLDER, shared);
    else if (home && home[0] == '/')
        n = asprintf(out, "%s/.local/share/cloister/" DEVELOPMENT_FOLDER, home);
    else
        n = asprintf(out, "/var/lib/cloister/" DEVELOPMENT_FOLDER);
    if (n < 0)
        abort();
}

void development_tpm_folder(char **out)
{
    AUTO(text) char *root = NULL;

    development_root_folder(&root);
    if (asprintf(out, "%s-tpm", root) < 0)
        abort();
}

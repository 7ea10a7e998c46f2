#include "keys/api/development/platform.h"

#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <fcntl.h>

#include "base/file.h"

enum { CERTIFICATE_MAX = 8192, KEY_FILE_MAX = 4096, YEAR_S = 365 * 24 * 3600 };

void development_platform_free(struct development_platform *platform)
{
    buffer_free(&platform->ark);
    buffer_free(&platform->ask);
    buffer_free(&platform->vcek);
    EVP_PKEY_free(platform->vcek_key);
    *platform = (struct development_platform){ 0 };
}

void development_platform_directory(char **out)
{
    const char *named = getenv("CLOISTER_DEVELOPMENT_PLATFORM");
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int         n;

    if (named && named[0])
        n = asprintf(out, "%s", named);
    else if (data && data[0] == '/')
        n = asprintf(out, "%s/cloister/development-platform", data);
    else if (home && home[0] == '/')
        n = asprintf(out, "%s/.local/share/cloister/development-platform", home);
    else
        n = asprintf(out, "/var/lib/cloister/development-platform");
    if (n < 0)
        abort();
}

/* ---- making certificates ---- */

/* One DER value under an OID, as AMD has it: not critical, the value directly in extnValue. [SNP-VCEK table 8] */
static FALLIBLE add_raw(X509 *certificate, const char *oid, struct bytes value, struct err *err)
{
    ASN1_OBJECT       *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    X509_EXTENSION    *extension;
    bool               is_added;

    if (!object || !octets || ASN1_OCTET_STRING_set(octets, value.at, (int) value.len) != 1)
        abort(); /* small allocations */
    extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, octets);
    is_added  = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(octets);
    ASN1_OBJECT_free(object);
    return is_added || err_openssl(err, ERR_BUG, "certificate extension");
}

static FALLIBLE add_number(X509 *certificate, const char *oid, uint8_t value, struct err *err)
{
    const uint8_t der[] = { 0x02, 0x01, value }; /* all of ours are below 0x80 */

    return add_raw(certificate, oid, BYTES_OF(der), err);
}

static FALLIBLE add_vcek_extensions(X509 *certificate, const uint8_t *chip_id, struct err *err)
{
    static const struct { const char *oid; uint8_t value; } numbers[] = {
        { "1.3.6.1.4.1.3704.1.1", 0 },
        { "1.3.6.1.4.1.3704.1.3.1", DEVELOPMENT_SPL_BOOT_LOADER },
        { "1.3.6.1.4.1.3704.1.3.2", DEVELOPMENT_SPL_TEE },
        { "1.3.6.1.4.1.3704.1.3.3", DEVELOPMENT_SPL_SNP },
        { "1.3.6.1.4.1.3704.1.3.4", 0 },
        { "1.3.6.1.4.1.3704.1.3.5", 0 },
        { "1.3.6.1.4.1.3704.1.3.6", 0 },
        { "1.3.6.1.4.1.3704.1.3.7", 0 },
        { "1.3.6.1.4.1.3704.1.3.8", DEVELOPMENT_SPL_MICROCODE },
    };
    static const uint8_t product[] = { 0x16, 5, 'G', 'e', 'n', 'o', 'a' };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!add_number(certificate, numbers[i].oid, numbers[i].value, err))
            return false;
    return add_raw(certificate, "1.3.6.1.4.1.3704.1.2", BYTES_OF(product), err) &&
           add_raw(certificate, "1.3.6.1.4.1.3704.1.4", (struct bytes){ chip_id, DEVELOPMENT_CHIP_ID_LEN }, err);
}

static FALLIBLE add_profile(X509 *certificate, int nid, const char *value, struct err *err)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    bool            is_added  = extension && X509_add_ext(certificate, extension, -1) == 1;

    X509_EXTENSION_free(extension);
    return is_added || err_openssl(err, ERR_BUG, "certificate extension");
}

struct subject {
    const char *name;
    EVP_PKEY   *key;
    long        serial;
    long        lifetime_s;
    const char *basic_constraints; /* NULL for the leaf */
    const char *key_usage;
};

static FALLIBLE name_certificate(X509 *certificate, const char *common_name, struct err *err)
{
    static const char *const parts[][2] = { { "OU", "Engineering" }, { "C", "US" }, { "L", "Santa Clara" },
                                            { "ST", "CA" }, { "O", "Cloister development platform" } };
    X509_NAME *name = X509_get_subject_name(certificate);

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (X509_NAME_add_entry_by_txt(name, parts[i][0], MBSTRING_ASC, (const uint8_t *) parts[i][1], -1, -1, 0) != 1)
            return err_openssl(err, ERR_BUG, "certificate name");
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *) common_name, -1, -1, 0) == 1 ||
           err_openssl(err, ERR_BUG, "certificate name");
}

/* RSASSA-PSS with SHA-384 all through and a salt of 48 bytes, as AMD signs. */
static FALLIBLE sign_certificate(X509 *certificate, EVP_PKEY *issuer_key, struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX *context_ = EVP_MD_CTX_new();
    EVP_PKEY_CTX            *padding  = NULL;

    if (!context_ || EVP_DigestSignInit(context_, &padding, EVP_sha384(), NULL, issuer_key) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(padding, EVP_sha384()) != 1 ||
        EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, 48) != 1 || X509_sign_ctx(certificate, context_) == 0)
        return err_openssl(err, ERR_BUG, "sign certificate");
    return true;
}

static FALLIBLE make_certificate(const struct subject *subject, X509 *issuer, EVP_PKEY *issuer_key,
                                 const uint8_t *chip_id, X509 **out, struct err *err)
{
    AUTO(x509) X509 *made = X509_new();

    if (!made || X509_set_version(made, X509_VERSION_3) != 1 ||
        ASN1_INTEGER_set(X509_get_serialNumber(made), subject->serial) != 1 ||
        !X509_gmtime_adj(X509_getm_notBefore(made), -24 * 3600) || /* clocks may differ */
        !X509_gmtime_adj(X509_getm_notAfter(made), subject->lifetime_s) || X509_set_pubkey(made, subject->key) != 1)
        return err_openssl(err, ERR_BUG, "certificate");
    if (!name_certificate(made, subject->name, err))
        return false;
    if (X509_set_issuer_name(made, X509_get_subject_name(issuer ? issuer : made)) != 1)
        return err_openssl(err, ERR_BUG, "certificate issuer");
    if (subject->basic_constraints &&
        (!add_profile(made, NID_basic_constraints, subject->basic_constraints, err) ||
         !add_profile(made, NID_key_usage, subject->key_usage, err)))
        return false;
    if (chip_id && !add_vcek_extensions(made, chip_id, err))
        return false;
    if (!sign_certificate(made, issuer_key, err))
        return false;
    *out = TAKE(made);
    return true;
}

static void chip_id_of(EVP_PKEY *key, uint8_t chip_id[static DEVELOPMENT_CHIP_ID_LEN])
{
    uint8_t *der = NULL;
    int      len = i2d_PUBKEY(key, &der);

    if (len <= 0)
        abort(); /* a key that we made or read */
    sha512_of((struct bytes){ der, (size_t) len }, chip_id);
    OPENSSL_free(der);
}

/* ---- files ---- */

static FALLIBLE write_certificate(const char *directory, const char *name, X509 *certificate, struct err *err)
{
    AUTO(text) char *path = NULL;
    uint8_t         *der  = NULL;
    int              len  = i2d_X509(certificate, &der);
    bool             is_written;

    if (len <= 0 || asprintf(&path, "%s/%s", directory, name) < 0)
        abort();
    is_written = file_write(path, (struct bytes){ der, (size_t) len }, 0644, err);
    OPENSSL_free(der);
    return is_written;
}

static FALLIBLE write_key(const char *directory, EVP_PKEY *key, struct err *err)
{
    AUTO(text) char *path = NULL;
    AUTO(bio) BIO   *pem  = BIO_new(BIO_s_mem());
    char            *at   = NULL;
    long             len;

    if (!pem || PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) != 1 ||
        asprintf(&path, "%s/vcek.key", directory) < 0)
        abort();
    len = BIO_get_mem_data(pem, &at);
    return file_write(path, (struct bytes){ (const uint8_t *) at, (size_t) len }, 0600, err);
}

static FALLIBLE make_all(const char *directory, struct err *err)
{
    AUTO(pkey) EVP_PKEY *ark_key = EVP_RSA_gen(4096), *ask_key = EVP_RSA_gen(4096), *vcek_key = EVP_EC_gen("P-384");
    AUTO(x509) X509     *ark = NULL, *ask = NULL, *vcek = NULL;
    uint8_t              chip_id[DEVELOPMENT_CHIP_ID_LEN];

    if (!ark_key || !ask_key || !vcek_key)
        return err_openssl(err, ERR_OS, "make keys");
    chip_id_of(vcek_key, chip_id);

    const struct subject ark_is  = { "ARK-Genoa", ark_key, 0x20000, 25L * YEAR_S, "critical,CA:TRUE", "critical,keyCertSign,cRLSign" };
    const struct subject ask_is  = { "SEV-Genoa", ask_key, 0x20002, 25L * YEAR_S, "critical,CA:TRUE,pathlen:0", "critical,keyCertSign" };
    const struct subject vcek_is = { "SEV-VCEK", vcek_key, 0, 7L * YEAR_S, NULL, NULL };

    /* The key comes last: a platform without it is made again. */
    return make_certificate(&ark_is, NULL, ark_key, NULL, &ark, err) &&
           make_certificate(&ask_is, ark, ark_key, NULL, &ask, err) &&
           make_certificate(&vcek_is, ask, ask_key, chip_id, &vcek, err) &&
           write_certificate(directory, "ark.der", ark, err) && write_certificate(directory, "ask.der", ask, err) &&
           write_certificate(directory, "vcek.der", vcek, err) && write_key(directory, vcek_key, err);
}

FALLIBLE development_platform_make(const char *directory, struct err *err)
{
    AUTO(text) char *key = NULL;
    AUTO(fd) int     lock = NO_FD;

    if (asprintf(&key, "%s/vcek.key", directory) < 0)
        abort();
    if (access(key, F_OK) == 0)
        return true;
    if (!directory_make(directory, err))
        return context(err, "development platform");
    lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) < 0) /* a broker and a runtime may come first at once */
        return err_os(err, "development platform: lock %s", directory);
    return access(key, F_OK) == 0 || make_all(directory, err) || context(err, "development platform");
}

static FALLIBLE read_part(const char *directory, const char *name, size_t most, struct buffer *out, struct err *err)
{
    AUTO(text) char *path = NULL;

    if (asprintf(&path, "%s/%s", directory, name) < 0)
        abort();
    return file_read(path, most, out, err) || context(err, "development platform");
}

FALLIBLE development_platform_open(const char *directory, struct development_platform *out, struct err *err)
{
    AUTO(development_platform) struct development_platform p = { 0 };
    AUTO(buffer) struct buffer                             pem = { 0 };
    AUTO(x509) X509                                       *vcek = NULL;
    AUTO(bio) BIO                                         *bio  = NULL;
    const uint8_t                                         *at;

    if (!read_part(directory, "ark.der", CERTIFICATE_MAX, &p.ark, err) ||
        !read_part(directory, "ask.der", CERTIFICATE_MAX, &p.ask, err) ||
        !read_part(directory, "vcek.der", CERTIFICATE_MAX, &p.vcek, err) ||
        !read_part(directory, "vcek.key", KEY_FILE_MAX, &pem, err))
        return false;
    at         = p.vcek.at;
    vcek       = d2i_X509(NULL, &at, (long) p.vcek.len);
    bio        = BIO_new_mem_buf(pem.at, (int) pem.len);
    p.vcek_key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    OPENSSL_cleanse(pem.at, pem.len);
    if (!vcek || !p.vcek_key || X509_check_private_key(vcek, p.vcek_key) != 1)
        return err_openssl(err, ERR_MALFORMED, "development platform: its key does not fit its certificate");
    chip_id_of(p.vcek_key, p.chip_id);
    *out = TAKE(p);
    return true;
}

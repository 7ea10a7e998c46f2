#include "runtime/vmm/simulated_report.h"

#include <string.h>

enum {
    REPORT_VERSION   = 3,
    SIGNED_LEN       = 0x2a0,
    SIGNATURE_R      = 0x2a0,
    SIGNATURE_S      = 0x2e8,
    SIGNATURE_PART   = 48,         /* bytes of a P-384 coordinate; the field has 72 */
    GUEST_POLICY     = 0x30000,    /* SMT allowed, and the bit that must be one; no debugging, no migration */
    PLATFORM_FLAGS   = 0x25,       /* SMT, ECC, alias check complete */
    ALGORITHM_ECDSA_P384_SHA384 = 1,
};

static void put_tcb(struct writer *w)
{
    put_u8(w, DEVELOPMENT_BOOTLOADER);
    put_u8(w, DEVELOPMENT_TEE);
    put_zeros(w, 4);
    put_u8(w, DEVELOPMENT_SNP);
    put_u8(w, DEVELOPMENT_MICROCODE);
}

static void put_firmware_version(struct writer *w)
{
    put_u8(w, 0x28); /* build */
    put_u8(w, 55);   /* minor */
    put_u8(w, 1);    /* major */
    put_u8(w, 0);
}

static void put_body(struct writer *w, const struct simulated_guest *guest, const uint8_t *report_data,
                     const struct development_root *platform)
{
    uint8_t no_migration_agent[32];

    memset(no_migration_agent, 0xff, sizeof no_migration_agent);
    put_u32le(w, REPORT_VERSION);
    put_u32le(w, 0); /* GUEST_SVN */
    put_u64le(w, GUEST_POLICY);
    put_zeros(w, 32); /* FAMILY_ID, IMAGE_ID */
    put_u32le(w, 0);  /* VMPL */
    put_u32le(w, ALGORITHM_ECDSA_P384_SHA384);
    put_tcb(w); /* CURRENT_TCB */
    put_u64le(w, PLATFORM_FLAGS);
    put_zeros(w, 8); /* KEY_INFO: VCEK, no author key; reserved */
    put(w, (struct bytes){ report_data, SNP_REPORT_DATA_LEN });
    put(w, BYTES_OF(guest->measurement));
    put(w, BYTES_OF(guest->host_data));
    put_zeros(w, 96); /* ID_KEY_DIGEST, AUTHOR_KEY_DIGEST */
    put(w, BYTES_OF(guest->report_id));
    put(w, BYTES_OF(no_migration_agent));
    put_tcb(w); /* REPORTED_TCB */
    put_u8(w, DEVELOPMENT_CPUID_FAMILY);
    put_u8(w, DEVELOPMENT_CPUID_MODEL);
    put_u8(w, DEVELOPMENT_CPUID_STEP);
    put_zeros(w, 21);
    put(w, BYTES_OF(platform->chip_id));
    put_tcb(w); /* COMMITTED_TCB */
    put_firmware_version(w);
    put_firmware_version(w);
    put_tcb(w); /* LAUNCH_TCB */
    put_zeros(w, SIGNED_LEN - 0x1f8);
}

/* R and S are little-endian in the report. */
static void store_reversed(const BIGNUM *number, uint8_t *to)
{
    if (BN_bn2lebinpad(number, to, SIGNATURE_PART) != SIGNATURE_PART)
        abort(); /* both are below the order of P-384 */
}

static FALLIBLE sign(EVP_PKEY *key, uint8_t report[static SNP_REPORT_LEN], struct err *err)
{
    AUTO(md_ctx) EVP_MD_CTX     *signing = EVP_MD_CTX_new();
    AUTO(ecdsa_sig) ECDSA_SIG   *signature = NULL;
    uint8_t                      der[160];
    size_t                       len = sizeof der;
    const uint8_t               *at  = der;

    if (!signing || EVP_DigestSignInit(signing, NULL, EVP_sha384(), NULL, key) != 1 ||
        EVP_DigestSign(signing, der, &len, report, SIGNED_LEN) != 1)
        return err_openssl(err, ERR_OS, "sign report");
    signature = d2i_ECDSA_SIG(NULL, &at, (long) len);
    if (!signature)
        return err_openssl(err, ERR_BUG, "sign report");
    store_reversed(ECDSA_SIG_get0_r(signature), report + SIGNATURE_R);
    store_reversed(ECDSA_SIG_get0_s(signature), report + SIGNATURE_S);
    return true;
}

FALLIBLE simulated_report_sign(const struct simulated_guest *guest, const uint8_t report_data[static SNP_REPORT_DATA_LEN],
                               const struct development_root *platform, uint8_t report[static SNP_REPORT_LEN],
                               struct err *err)
{
    struct writer w = writer_over(report, SNP_REPORT_LEN);

    put_body(&w, guest, report_data, platform);
    put_zeros(&w, SNP_REPORT_LEN - w.len);
    if (!writer_ok(&w, err))
        return false;
    return sign(platform->vcek_key, report, err);
}

void simulated_certificates(const struct development_root *platform, struct buffer *out)
{
    static const uint8_t guids[3][16] = {
        { 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd }, /* VCEK */
        { 0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82 }, /* ASK */
        { 0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae }, /* ARK */
    };
    const struct buffer *certificates[3] = { &platform->vcek, &platform->ask, &platform->ark };
    uint8_t              header[24 * 4]; /* three entries and the closing one */
    struct writer        w      = writer_over(header, sizeof header);
    size_t               offset = sizeof header;

    for (size_t i = 0; i < 3; i++) {
        put(&w, BYTES_OF(guids[i]));
        put_u32le(&w, (uint32_t) offset);
        put_u32le(&w, (uint32_t) certificates[i]->len);
        offset += certificates[i]->len;
    }
    put_zeros(&w, 24);
    buffer_append(out, writer_bytes(&w));
    for (size_t i = 0; i < 3; i++)
        buffer_append(out, buffer_bytes(certificates[i]));
}

#include "attestation/verifier/snp_claims.h"

#include <stdio.h>

#include "attestation/verifier/instant.h"

static void add_number(struct json_object *to, const char *name, uint64_t value)
{
    json_add(to, name, json_object_new_uint64(value));
}

static void add_bool(struct json_object *to, const char *name, bool value)
{
    json_add(to, name, json_object_new_boolean(value));
}

static void add_instant(struct json_object *to, const char *name, int64_t at)
{
    char text[INSTANT_TEXT_LEN + 1];

    instant_write(at, text);
    json_add_text(to, name, text);
}

static void add_tcb(struct json_object *to, const char *prefix, const struct snp_tcb *tcb, bool has_fmc)
{
    const struct { const char *name; uint8_t value; } parts[] = {
        { "bootloader", tcb->bootloader }, { "tee", tcb->tee },   { "snp", tcb->snp },
        { "microcode", tcb->microcode },   { "fmc", tcb->fmc },
    };

    for (size_t i = 0; i < 4 + (size_t) has_fmc; i++) {
        char name[40];

        (void) snprintf(name, sizeof name, "%s_%s", prefix, parts[i].name); /* always fits */
        add_number(to, name, parts[i].value);
    }
}

static void add_firmware(struct json_object *to, const char *name, const struct snp_firmware *f)
{
    char text[16];

    (void) snprintf(text, sizeof text, "%u.%u.%u", f->major, f->minor, f->build); /* always fits */
    json_add_text(to, name, text);
}

/* The names that CoCo's policies read. */
static void add_shared_names(struct json_object *to, const struct snp_report *r)
{
    add_number(to, "policy_abi_major", SNP_POLICY_ABI_MAJOR(r->policy));
    add_number(to, "policy_abi_minor", SNP_POLICY_ABI_MINOR(r->policy));
    add_bool(to, "policy_smt_allowed", r->policy & SNP_POLICY_SMT);
    add_bool(to, "policy_migrate_ma", r->policy & SNP_POLICY_MIGRATE_MA);
    add_bool(to, "policy_debug_allowed", r->policy & SNP_POLICY_DEBUG);
    add_bool(to, "policy_single_socket", r->policy & SNP_POLICY_SINGLE_SOCKET);
    add_tcb(to, "reported_tcb", &r->reported_tcb, r->is_turin_layout);
    add_bool(to, "platform_tsme_enabled", r->platform_info & SNP_PLATFORM_TSME);
    add_bool(to, "platform_smt_enabled", r->platform_info & SNP_PLATFORM_SMT);
    json_add_hex(to, "measurement", r->measurement);
    json_add_hex(to, "chip_id", r->chip_id);
    json_add_hex(to, "report_data", r->report_data);
    json_add_hex(to, "init_data", r->host_data);
}

static void add_report(struct json_object *to, const struct snp_report *r)
{
    add_number(to, "version", r->version);
    add_number(to, "guest_svn", r->guest_svn);
    add_number(to, "policy", r->policy);
    add_bool(to, "policy_cxl_allowed", r->policy & SNP_POLICY_CXL);
    add_number(to, "platform_info", r->platform_info);
    add_bool(to, "platform_alias_check_complete", r->platform_info & SNP_PLATFORM_ALIAS_CHECK_COMPLETE);
    add_bool(to, "platform_ciphertext_hiding", r->platform_info & SNP_PLATFORM_CIPHERTEXT_HIDING);
    add_number(to, "vmpl", r->vmpl);
    json_add_hex(to, "family_id", r->family_id);
    json_add_hex(to, "image_id", r->image_id);
    json_add_hex(to, "id_key_digest", r->id_key_digest);
    json_add_hex(to, "author_key_digest", r->author_key_digest);
    json_add_hex(to, "report_id", r->report_id);
    json_add_hex(to, "report_id_ma", r->report_id_ma);
    add_tcb(to, "current_tcb", &r->current_tcb, r->is_turin_layout);
    add_tcb(to, "committed_tcb", &r->committed_tcb, r->is_turin_layout);
    add_tcb(to, "launch_tcb", &r->launch_tcb, r->is_turin_layout);
    add_firmware(to, "current_firmware", &r->current_firmware);
    add_firmware(to, "committed_firmware", &r->committed_firmware);
    if (r->has_mitigations) {
        add_number(to, "launch_mit_vector", r->launch_mitigations);
        add_number(to, "current_mit_vector", r->current_mitigations);
    }
}

static void add_certified(struct json_object *to, const struct snp_chain *chain, const struct snp_crl *crl)
{
    const struct snp_certificate *vek = snp_chain_vek(chain);
    uint8_t                       digest[SHA256_LEN];

    json_add_text(to, "product", snp_product_name(snp_chain_product(chain)));
    json_add_text(to, "root", snp_chain_root_name(chain));
    json_add_text(to, "signer", snp_chain_is_vlek(chain) ? "VLEK" : "VCEK");
    if (snp_chain_is_vlek(chain))
        json_add(to, "csp_id", json_object_new_string_len((const char *) vek->vek.csp_id.at, (int) vek->vek.csp_id.len));
    sha256_of(vek->key_info, digest);
    json_add_hex(to, "vek_key_sha256", BYTES_OF(digest));
    add_instant(to, "vek_not_before", vek->not_before);
    add_instant(to, "vek_not_after", vek->not_after);
    if (!crl)
        return;
    add_number(to, "crl_number", snp_crl_number(crl));
    add_instant(to, "crl_this_update", snp_crl_this_update(crl));
    add_instant(to, "crl_next_update", snp_crl_next_update(crl));
}

struct json_object *snp_claims(const struct snp_result *result)
{
    struct json_object *claims;

    if (!result->is_authentic)
        return NULL;
    claims = json_object_new_object();
    add_shared_names(claims, &result->report);
    add_report(claims, &result->report);
    add_certified(claims, result->used, result->crl);
    return claims;
}

const char *snp_status(const struct snp_result *result)
{
    if (!result->is_authentic)
        return NULL;
    return snp_tcb_equal(&result->report.committed_tcb, &result->report.current_tcb) ? "committed" : "provisional";
}

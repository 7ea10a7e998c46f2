#include "attestation/verifier/snp_appraise.h"

#include <stdio.h>

/* Every check of one appraisal looks at these. */
struct subject {
    const struct snp_report *report;
    const struct snp_policy *policy;
    const struct snp_chain  *chain;
    enum snp_product         product;
    struct appraisal        *a;
};

enum { HEX_SHOWN_MAX = 64 };

static bool rule_holds(const struct field_rule *rule, struct bytes value)
{
    if (rule->kind == FIELD_ANY)
        return true;
    if (rule->kind == FIELD_ZERO)
        return bytes_are_zero(value);
    for (size_t i = 0; i < rule->n; i++)
        if (bytes_equal(rule->at[i], value))
            return true;
    return false;
}

static const char *rule_text(const struct field_rule *rule)
{
    return rule->kind == FIELD_ANY ? "not compared" : rule->kind == FIELD_ZERO ? "wanted zero" : "wanted one of the list";
}

static void field_check(const struct subject *s, const struct field_rule *rule, struct bytes value,
                        enum verdict_reason reason, const char *name)
{
    bool holds = rule_holds(rule, value);
    char hex[2 * HEX_SHOWN_MAX + 1] = "";

    for (size_t i = 0; (!holds || s->a->listener) && i < value.len && i < HEX_SHOWN_MAX; i++)
        (void) snprintf(hex + 2 * i, 3, "%02x", value.at[i]); /* always fits */
    (void) check(s->a, holds, reason, "%s %s; %s (%zu listed)", name, hex, rule_text(rule), rule->n); /* kept by `a` */
}

/* The names of `bits`, for a text. */
static const char *bit_names(uint64_t bits, bool is_platform, char *out, size_t len)
{
#define BIT_ROW(name, bit, text) { UINT64_C(1) << (bit), text },
    static const struct { uint64_t bit; const char *text; } of_policy[] = {
        SNP_POLICY_GRANTS(BIT_ROW) SNP_POLICY_DEMANDS(BIT_ROW)
    }, of_platform[] = { SNP_PLATFORM_BITS(BIT_ROW) };
#undef BIT_ROW
    size_t n  = is_platform ? sizeof of_platform / sizeof *of_platform : sizeof of_policy / sizeof *of_policy;
    size_t at = 0;

    out[0] = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t bit = is_platform ? of_platform[i].bit : of_policy[i].bit;
        int      put = bits & bit && at < len
                           ? snprintf(out + at, len - at, " %s", is_platform ? of_platform[i].text : of_policy[i].text)
                           : 0;

        at += put > 0 ? (size_t) put : 0;
        bits &= ~bit;
    }
    if (bits && at < len)
        (void) snprintf(out + at, len - at, " %#llx", (unsigned long long) bits); /* cut at the end is fine */
    return out;
}

static void bits_check(const struct subject *s, uint64_t offending, bool is_platform, enum verdict_reason reason,
                       const char *what)
{
    char names[160] = "";

    if (offending)
        (void) bit_names(offending, is_platform, names, sizeof names); /* returns `names` */
    (void) check(s->a, offending == 0, reason, "%s:%s", what, offending ? names : " none"); /* kept by `a` */
}

static void origin(const struct subject *s)
{
    const struct snp_policy      *p   = s->policy;
    const struct snp_certificate *vek = snp_chain_vek(s->chain);
    bool                          is_vlek = snp_chain_is_vlek(s->chain);

    (void) check(s->a, p->products[s->product], REASON_SNP_PRODUCT_REFUSED, "product %s, root %s", /* kept by `a` */
                 snp_product_name(s->product), snp_chain_root_name(s->chain));
    (void) check(s->a, p->versions[s->report->version], REASON_SNP_VERSION_REFUSED, "report version %u", /* likewise */
                 s->report->version);
    (void) check(s->a, is_vlek ? p->vlek_allowed : p->vcek_allowed, REASON_SNP_SIGNER_REFUSED, "signed by a %s", /* … */
                 is_vlek ? "VLEK" : "VCEK");
    if (is_vlek)
        field_check(s, &p->csp_id, vek->vek.csp_id, REASON_SNP_CSP_REFUSED, "CSP_ID");
    else
        field_check(s, &p->chip_id, s->report->chip_id, REASON_SNP_CHIP_REFUSED, "CHIP_ID");
}

#define ALL_BITS(name, bit, text) | UINT64_C(1) << (bit)
static const uint64_t all_grants = 0 SNP_POLICY_GRANTS(ALL_BITS), all_demands = 0 SNP_POLICY_DEMANDS(ALL_BITS);
#undef ALL_BITS

/* A grant may not exceed ours, a demand may not fall short of ours. */
static void guest_policy(const struct subject *s)
{
    const struct snp_policy *p       = s->policy;
    uint64_t                 bits    = s->report->policy;
    uint64_t                 beyond  = bits & all_grants & ~p->grants_allowed;
    uint64_t                 lacking = p->demands_required & all_demands & ~bits;
    unsigned                 abi     = bits & 0xffff;
    struct bytes             ma      = s->report->report_id_ma;
    bool                     no_ma   = true;

    (void) check(s->a, !(beyond & SNP_POLICY_DEBUG), REASON_SNP_DEBUG, "POLICY %#llx, debugging %s", /* kept by `a` */
                 (unsigned long long) bits, bits & SNP_POLICY_DEBUG ? "on" : "off");
    (void) check(s->a, !(beyond & SNP_POLICY_MIGRATE_MA), REASON_SNP_MIGRATABLE, "POLICY %#llx, migration agent %s", /* … */
                 (unsigned long long) bits, bits & SNP_POLICY_MIGRATE_MA ? "allowed" : "not allowed");
    for (size_t i = 0; i < ma.len; i++)
        no_ma &= ma.at[i] == 0xff;
    (void) check(s->a, no_ma || p->migration_agent_allowed, REASON_SNP_MIGRATABLE, "REPORT_ID_MA names %s", /* … */
                 no_ma ? "no migration agent" : "a migration agent");
    bits_check(s, beyond & ~(uint64_t) (SNP_POLICY_DEBUG | SNP_POLICY_MIGRATE_MA), false,
               REASON_SNP_GUEST_POLICY_GRANTS, "granted by the guest's policy, not by ours");
    bits_check(s, lacking, false, REASON_SNP_GUEST_POLICY_DEMANDS, "demanded by ours, not by the guest's policy");
    (void) check(s->a, abi >= (unsigned) (p->least_abi_major << 8 | p->least_abi_minor), REASON_SNP_GUEST_ABI, /* … */
                 "minimum ABI %u.%u, wanted at least %u.%u", abi >> 8, abi & 0xff, p->least_abi_major, p->least_abi_minor);
}

static void platform(const struct subject *s)
{
    uint64_t is = s->report->platform_info, policy = s->report->policy, broken = 0;

    if (!(policy & SNP_POLICY_SMT))
        broken |= is & SNP_PLATFORM_SMT;
    if (policy & SNP_POLICY_RAPL_DISABLED)
        broken |= ~is & SNP_PLATFORM_RAPL_DISABLED;
    if (policy & SNP_POLICY_CIPHERTEXT_HIDING)
        broken |= ~is & SNP_PLATFORM_CIPHERTEXT_HIDING;
    bits_check(s, broken, true, REASON_SNP_POLICY_CONTRADICTED, "platform bits that contradict the guest's policy");
    bits_check(s, s->policy->platform_required & ~is, true, REASON_SNP_PLATFORM_REQUIRED, "platform lacks");
    bits_check(s, s->policy->platform_refused & is, true, REASON_SNP_PLATFORM_REFUSED, "platform has, and policy refuses");
}

static void identity(const struct subject *s)
{
    const struct snp_report *r = s->report;
    const struct snp_policy *p = s->policy;

    (void) check(s->a, r->vmpl < SNP_VMPLS && p->vmpls[r->vmpl], REASON_SNP_VMPL, "VMPL %#x%s", r->vmpl, /* kept by `a` */
                 r->vmpl == SNP_VMPL_HOST ? ": asked for by the host" : "");
    field_check(s, &p->measurement, r->measurement, REASON_SNP_MEASUREMENT, "MEASUREMENT");
    field_check(s, &p->report_data, r->report_data, REASON_SNP_REPORT_DATA, "REPORT_DATA");
    field_check(s, &p->host_data, r->host_data, REASON_SNP_HOST_DATA, "HOST_DATA");
    field_check(s, &p->id_key_digest, r->id_key_digest, REASON_SNP_ID_KEY, "ID_KEY_DIGEST");
    (void) check(s->a, r->author_key_en == !bytes_are_zero(r->author_key_digest), REASON_SNP_AUTHOR_KEY_FLAG, /* … */
                 "AUTHOR_KEY_EN %d, AUTHOR_KEY_DIGEST %s", r->author_key_en,
                 bytes_are_zero(r->author_key_digest) ? "zero" : "set");
    field_check(s, &p->author_key_digest, r->author_key_digest, REASON_SNP_AUTHOR_KEY, "AUTHOR_KEY_DIGEST");
    field_check(s, &p->family_id, r->family_id, REASON_SNP_FAMILY_ID, "FAMILY_ID");
    field_check(s, &p->image_id, r->image_id, REASON_SNP_IMAGE_ID, "IMAGE_ID");
    (void) check(s->a, r->guest_svn >= p->least_guest_svn, REASON_SNP_GUEST_SVN, "GUEST_SVN %u, wanted at least %u", /* … */
                 r->guest_svn, p->least_guest_svn);
}

static void tcb_least(const struct subject *s, const struct snp_tcb_rule *rule, const struct snp_tcb *tcb,
                      enum verdict_reason reason, const char *name)
{
    const struct snp_tcb *l = &rule->least;

    (void) check(s->a, !rule->is_set || snp_tcb_at_least(tcb, l), reason, /* kept by `a` */
                 "%s fmc %u bl %u tee %u snp %u ucode %u, wanted at least %u %u %u %u %u", name, tcb->fmc, tcb->bootloader,
                 tcb->tee, tcb->snp, tcb->microcode, l->fmc, l->bootloader, l->tee, l->snp, l->microcode);
}

/* Four TCBs: what the certificate binds, what cannot be rolled back, what runs, what the guest began under. */
static void firmware(const struct subject *s)
{
    const struct snp_report   *r      = s->report;
    const struct snp_policy   *p      = s->policy;
    const struct snp_tcb_rule *least  = &p->least_tcb[s->product];
    const struct snp_tcb_rule *launch = &p->least_launch_tcb[s->product];
    bool                       is_committed = snp_tcb_equal(&r->committed_tcb, &r->current_tcb);

    (void) check(s->a, /* kept by `a` */
                 snp_tcb_at_least(&r->committed_tcb, &r->reported_tcb) &&
                     snp_tcb_at_least(&r->current_tcb, &r->committed_tcb),
                 REASON_SNP_TCB_ORDER, "REPORTED_TCB <= COMMITTED_TCB <= CURRENT_TCB in each component");
    (void) check(s->a, is_committed || p->provisional_allowed, REASON_SNP_PROVISIONAL, "COMMITTED_TCB %s CURRENT_TCB", /* … */
                 is_committed ? "is" : "is not");
    if (!least->is_set && !p->least_tcb_required)
        check_warns(s->a, REASON_SNP_TCB_LOW, "policy has no minimum TCB for %s", snp_product_name(s->product));
    else
        (void) check(s->a, least->is_set, REASON_SNP_TCB_LOW, "policy has a minimum TCB for %s", /* … */
                     snp_product_name(s->product));
    tcb_least(s, least, &r->reported_tcb, REASON_SNP_TCB_LOW, "REPORTED_TCB");
    tcb_least(s, launch->is_set ? launch : least, &r->launch_tcb, REASON_SNP_LAUNCH_TCB_LOW, "LAUNCH_TCB");
}

static uint32_t version_number(const struct snp_firmware *f)
{
    return (uint32_t) f->major << 16 | (uint32_t) f->minor << 8 | f->build;
}

static void versions(const struct subject *s)
{
    const struct snp_report   *r     = s->report;
    const struct snp_firmware *least = &s->policy->least_firmware;
    uint64_t                   want  = s->policy->mitigations_required;
    uint64_t                   have  = r->has_mitigations ? r->launch_mitigations & r->current_mitigations : 0;

    (void) check(s->a, /* kept by `a` */
                 version_number(&r->committed_firmware) >= version_number(least) &&
                     version_number(&r->current_firmware) >= version_number(least),
                 REASON_SNP_FIRMWARE_LOW, "firmware %u.%u.%u, committed %u.%u.%u, wanted at least %u.%u.%u",
                 r->current_firmware.major, r->current_firmware.minor, r->current_firmware.build,
                 r->committed_firmware.major, r->committed_firmware.minor, r->committed_firmware.build, least->major,
                 least->minor, least->build);
    (void) check(s->a, (want & ~have) == 0, REASON_SNP_MITIGATIONS, /* … */
                 "mitigations at launch and now %#llx, wanted %#llx", (unsigned long long) have, (unsigned long long) want);
}

void snp_appraise(const struct snp_report *report, const struct snp_chain *chain, const struct snp_policy *policy,
                  struct appraisal *a)
{
    const struct subject s = { report, policy, chain, snp_chain_product(chain), a };

    origin(&s);
    guest_policy(&s);
    identity(&s);
    firmware(&s);
    versions(&s);
    platform(&s);
}

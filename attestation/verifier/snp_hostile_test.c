/*
 * Damaged evidence made on the spot from genuine sets: every single-bit flip and every truncation of the report and of
 * all that surrounds it, and every exchange of parts between sets. None may be accepted.
 */
#include "tests/harness/test.h"

#include "attestation/verifier/snp.h"
#include "tests/harness/vectors.h"

#define NOW INT64_C(1788220800) /* 2026-09-01T00:00:00Z */

/* A genuine set: everything that one acceptance stands on. */
struct set {
    struct buffer     report, vek, ark, ask, crl;
    enum snp_product  product;
    struct snp_policy policy;
    struct snp_trust *trust;
    struct snp_chain *chain;
    struct snp_crl   *list;
};

static struct buffer read_snp(const char *folder, const char *name, const char *suffix)
{
    char path[200];

    (void) snprintf(path, sizeof path, "snp/%s/%s%s", folder, name, suffix); /* fits */
    return shared_vector(path);
}

static struct snp_trust *trust_in(struct bytes ark, enum snp_product product)
{
    const struct snp_root root  = { .name = "flipped", .product = product, .ark = ark };
    struct snp_trust     *trust = NULL;
    struct err            err;

    return snp_trust_new(&root, 1, &trust, NULL, &err) ? trust : NULL;
}

static struct set set_open(const char *name, const char *ca, const char *crl, enum snp_product product)
{
    struct set s = {
        .report  = read_snp("reports", name, ".bin"),
        .vek     = read_snp("vek", name, ".vcek.der"),
        .ark     = read_snp("ca", ca, "/ark.der"),
        .ask     = read_snp("ca", ca, "/ask.der"),
        .crl     = read_snp("crl", crl, ".der"),
        .product = product,
        .policy  = snp_policy_bare(),
    };
    const struct snp_certificates given   = { .ask = buffer_bytes(&s.ask) };
    struct verdict                verdict;
    struct appraisal              a = appraisal_start(&verdict, NULL);

    s.policy.products[product] = true;
    s.policy.crl               = CRL_REQUIRED;
    s.trust                    = trust_in(buffer_bytes(&s.ark), product);
    assert_non_null(s.trust);
    assert_true(snp_chain_new(s.trust, buffer_bytes(&s.vek), &given, &s.chain, &a));
    assert_true(snp_crl_new(s.trust, buffer_bytes(&s.crl), &s.list, &a));
    return s;
}

static void set_close(struct set *s)
{
    snp_crl_free(s->list);
    snp_chain_free(s->chain);
    snp_trust_free(s->trust);
    buffer_free(&s->report);
    buffer_free(&s->vek);
    buffer_free(&s->ark);
    buffer_free(&s->ask);
    buffer_free(&s->crl);
}

/* Version 3 of Milan and version 5 of Siena: two layouts, two roots. */
static struct set sets[2];

static int open_sets(void **state)
{
    (void) state;
    sets[0] = set_open("milan-v3-oak-cb", "milan", "milan-011", SNP_MILAN);
    sets[1] = set_open("siena-v5-lunal", "genoa", "genoa-010", SNP_GENOA);
    return 0;
}

static int close_sets(void **state)
{
    (void) state;
    set_close(&sets[0]);
    set_close(&sets[1]);
    return 0;
}

/* The report alone, against the chain and list that were verified once. */
static struct verdict judge_report(const struct set *s, struct bytes report)
{
    const struct snp_crl *const crls[]  = { s->list };
    const struct snp_request    request = { .report = report, .crls = crls, .n_crls = 1, .policy = &s->policy, .now = NOW };
    struct snp_result           result;

    (void) snp_verify_with_chain(&request, s->chain, &result); /* the verdict says it */
    return result.verdict;
}

/* From the bytes up. */
static struct verdict judge_parts(const struct set *s, const struct snp_certificates *given, struct bytes report)
{
    const struct snp_crl *const        crls[]  = { s->list };
    const struct snp_request           request = {
        .report = report, .certificates = given, .trust = s->trust, .crls = crls, .n_crls = given->crl.len == 0,
        .policy = &s->policy, .now = NOW,
    };
    AUTO(snp_result) struct snp_result result;

    (void) snp_verify(&request, &result); /* the verdict says it */
    return result.verdict;
}

static struct snp_certificates parts_of(const struct set *s)
{
    return (struct snp_certificates){ .vcek = buffer_bytes(&s->vek), .ask = buffer_bytes(&s->ask),
                                      .ark = buffer_bytes(&s->ark), .crl = buffer_bytes(&s->crl) };
}

static void the_undamaged_sets_are_accepted(void **state)
{
    (void) state;
    for (size_t i = 0; i < 2; i++) {
        struct snp_certificates given = parts_of(&sets[i]);
        struct verdict          v     = judge_parts(&sets[i], &given, buffer_bytes(&sets[i].report));

        if (!v.accepted)
            fail_msg("%s: %s", reason_code(v.reason), v.detail);
        assert_true(judge_report(&sets[i], buffer_bytes(&sets[i].report)).accepted);
    }
}

enum { REASONS_AT_MOST = 4 };

/* What a flip in each part of the report may be refused for. */
static const struct region {
    size_t              from, to;
    enum verdict_reason reasons[REASONS_AT_MOST];
} regions[] = {
    { 0x000, 0x004, { REASON_SNP_VERSION, REASON_SNP_RESERVED, REASON_SNP_SIGNATURE } },
    { 0x004, 0x008, { REASON_SNP_SIGNATURE } },
    { 0x008, 0x010, { REASON_SNP_SIGNATURE, REASON_SNP_POLICY_BITS } },
    { 0x010, 0x030, { REASON_SNP_SIGNATURE } },
    { 0x030, 0x034, { REASON_SNP_SIGNATURE, REASON_SNP_VMPL_RANGE } },
    { 0x034, 0x038, { REASON_SNP_ALGORITHM } },
    { 0x038, 0x040, { REASON_SNP_SIGNATURE, REASON_SNP_TCB_RESERVED } },
    { 0x040, 0x048, { REASON_SNP_SIGNATURE } },
    { 0x048, 0x04c, { REASON_SNP_SIGNATURE, REASON_SNP_NOT_SIGNED, REASON_SNP_KEY_BITS, REASON_SNP_SIGNER_MISMATCH } },
    { 0x04c, 0x050, { REASON_SNP_RESERVED } },
    { 0x050, 0x180, { REASON_SNP_SIGNATURE } },
    { 0x180, 0x188, { REASON_SNP_SIGNATURE, REASON_SNP_TCB_RESERVED } },
    { 0x188, 0x18a, { REASON_SNP_SIGNATURE, REASON_SNP_PRODUCT_UNKNOWN, REASON_SNP_PRODUCT_BINDING,
                      REASON_SNP_CHIP_ID_TAIL } },
    { 0x18a, 0x18b, { REASON_SNP_SIGNATURE } },
    { 0x18b, 0x1a0, { REASON_SNP_RESERVED } },
    { 0x1a0, 0x1e0, { REASON_SNP_SIGNATURE } },
    { 0x1e0, 0x1e8, { REASON_SNP_SIGNATURE, REASON_SNP_TCB_RESERVED } },
    { 0x1e8, 0x1eb, { REASON_SNP_SIGNATURE } },
    { 0x1eb, 0x1ec, { REASON_SNP_RESERVED } },
    { 0x1ec, 0x1ef, { REASON_SNP_SIGNATURE } },
    { 0x1ef, 0x1f0, { REASON_SNP_RESERVED } },
    { 0x1f0, 0x1f8, { REASON_SNP_SIGNATURE, REASON_SNP_TCB_RESERVED } },
    { 0x1f8, 0x208, { REASON_SNP_SIGNATURE, REASON_SNP_RESERVED } },
    { 0x208, 0x2a0, { REASON_SNP_RESERVED } },
    { 0x2a0, 0x2d0, { REASON_SNP_SIGNATURE, REASON_SNP_SIGNATURE_RANGE } },
    { 0x2d0, 0x2e8, { REASON_SNP_SIGNATURE_RANGE } },
    { 0x2e8, 0x318, { REASON_SNP_SIGNATURE, REASON_SNP_SIGNATURE_RANGE } },
    { 0x318, 0x330, { REASON_SNP_SIGNATURE_RANGE } },
    { 0x330, 0x4a0, { REASON_SNP_SIGNATURE_TAIL } },
};

static bool is_a_reason_at(size_t offset, enum verdict_reason reason)
{
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++)
        for (size_t j = 0; offset >= regions[i].from && offset < regions[i].to && j < REASONS_AT_MOST; j++)
            if (regions[i].reasons[j] == reason)
                return true;
    return false;
}

static void every_flipped_bit_of_a_report_is_refused_for_its_reason(void **state)
{
    (void) state;
    for (size_t i = 0; i < 2; i++)
        for (size_t bit = 0; bit < 8 * sets[i].report.len; bit++) {
            struct verdict v;

            sets[i].report.at[bit / 8] ^= (uint8_t) (1 << bit % 8);
            v = judge_report(&sets[i], buffer_bytes(&sets[i].report));
            sets[i].report.at[bit / 8] ^= (uint8_t) (1 << bit % 8);
            if (v.accepted || !is_a_reason_at(bit / 8, v.reason))
                fail_msg("report %zu, offset %#zx, bit %zu: %s", i, bit / 8, bit % 8, reason_code(v.reason));
        }
}

/* One part of the set, and the layer that must notice its damage. */
static void flip_part(const struct set *s, struct bytes *part, struct snp_certificates *given, enum verdict_layer layer,
                      const char *name)
{
    AUTO(heap) uint8_t *copy = exact_copy(part->at, part->len);
    struct bytes        whole = *part;

    part->at = copy;
    for (size_t bit = 0; bit < 8 * part->len; bit++) {
        struct verdict v;

        copy[bit / 8] ^= (uint8_t) (1 << bit % 8);
        v = judge_parts(s, given, buffer_bytes(&s->report));
        copy[bit / 8] ^= (uint8_t) (1 << bit % 8);
        /* a product name in a VEK is told apart from its root's before the signature is looked at */
        if (v.accepted || (v.layer != layer && v.reason != REASON_SNP_PRODUCT_BINDING))
            fail_msg("%s, offset %#zx, bit %zu: %s", name, bit / 8, bit % 8, reason_code(v.reason));
    }
    *part = whole;
}

static void every_flipped_bit_of_a_certificate_or_list_is_refused(void **state)
{
    (void) state;
    for (size_t i = 0; i < 2; i++) {
        struct snp_certificates given = parts_of(&sets[i]);

        given.crl = (struct bytes){ 0 };
        flip_part(&sets[i], &given.vcek, &given, LAYER_CHAIN, "VCEK");
        flip_part(&sets[i], &given.ask, &given, LAYER_CHAIN, "ASK");
        flip_part(&sets[i], &given.ark, &given, LAYER_CHAIN, "ARK");
        given.crl = buffer_bytes(&sets[i].crl);
        flip_part(&sets[i], &given.crl, &given, LAYER_REVOCATION, "CRL");
    }
}

static void every_flipped_bit_of_a_root_is_no_root(void **state)
{
    (void) state;
    for (size_t i = 0; i < 2; i++)
        for (size_t bit = 0; bit < 8 * sets[i].ark.len; bit++) {
            struct snp_trust *trust;

            sets[i].ark.at[bit / 8] ^= (uint8_t) (1 << bit % 8);
            trust = trust_in(buffer_bytes(&sets[i].ark), sets[i].product);
            sets[i].ark.at[bit / 8] ^= (uint8_t) (1 << bit % 8);
            if (trust)
                fail_msg("root %zu, offset %#zx, bit %zu is a root", i, bit / 8, bit % 8);
        }
}

static void every_truncation_is_refused(void **state)
{
    (void) state;
    for (size_t i = 0; i < 2; i++) {
        struct snp_certificates given    = parts_of(&sets[i]);
        struct bytes *const     parts[]  = { &given.vcek, &given.ask, &given.ark, &given.crl };
        struct bytes            report   = buffer_bytes(&sets[i].report);

        for (report.len = 0; report.len < sets[i].report.len; report.len++)
            assert_int_equal(judge_report(&sets[i], report).reason, REASON_SNP_LENGTH);
        for (size_t j = 0; j < sizeof parts / sizeof *parts; j++) {
            struct bytes whole = *parts[j];

            for (size_t len = 1; len < whole.len; len++) { /* 0 means absent */
                AUTO(heap) uint8_t *exact = exact_copy(whole.at, len);

                *parts[j] = (struct bytes){ exact, len };
                if (judge_parts(&sets[i], &given, buffer_bytes(&sets[i].report)).accepted)
                    fail_msg("part %zu cut to %zu bytes is accepted", j, len);
            }
            *parts[j] = whole;
        }
    }
}

/*
 * A table that the host wrote, in PEM. Some flips only lose what is not needed: the ARK's own entry, or the last
 * line end of a certificate. Those may pass, if what was verified is the same to the byte; all else is refused.
 */
static void every_flipped_bit_of_a_certificate_table_changes_nothing_or_is_refused(void **state)
{
    AUTO(buffer) struct buffer        table  = shared_vector("snp/certtable/veraison-auxblob.bin");
    AUTO(buffer) struct buffer        vek    = shared_vector("snp/vek/genoa-v3-veraison.vcek.der");
    size_t                            n_same = 0;

    (void) state;
    for (size_t bit = 0; bit < 8 * table.len; bit++) {
        AUTO(snp_chain) struct snp_chain *chain = NULL;
        struct snp_certificates           sent;
        struct verdict                    verdict;
        struct appraisal                  a = appraisal_start(&verdict, NULL);
        struct err                        err;

        table.at[bit / 8] ^= (uint8_t) (1 << bit % 8);
        if (snp_certificates_parse(buffer_bytes(&table), &sent, &err) && sent.ask.len > 0 &&
            snp_chain_new(sets[1].trust, sent.vcek, &sent, &chain, &a)) {
            assert_true(bytes_equal(snp_chain_vek(chain)->whole, buffer_bytes(&vek)));
            assert_true(bytes_equal(snp_chain_intermediate(chain)->whole, buffer_bytes(&sets[1].ask)));
            n_same++;
        }
        table.at[bit / 8] ^= (uint8_t) (1 << bit % 8);
    }
    print_message("%zu of %zu flips of the table change nothing that is verified\n", n_same, 8 * table.len);
    assert_true(n_same < 200); /* GUID, offset and length of the ARK; the padding behind the table's data */
}

static const char *const names[] = {
    "genoa-v3-azure-openpcc", "genoa-v3-azure-trustee", "genoa-v3-routex", "genoa-v3-veraison", "genoa-v5-oak-oc",
    "milan-v2-automata", "milan-v2-azure-trustee", "milan-v2-azurehcl-trustee", "milan-v2-baremetal-virtee",
    "milan-v3-azure-trustee", "milan-v3-oak-cb", "milan-v3-oak-oc-release", "milan-v3-oak-rk-release",
    "milan-v3-reportedlower-dstack", "milan-v5-gcp-teekit", "siena-v5-lunal",
};
enum { N_NAMES = sizeof names / sizeof *names };

static struct verdict judge_amd(const struct snp_trust *amd, struct bytes report, struct bytes vek, struct bytes ask)
{
    struct snp_policy                  policy = snp_policy_bare();
    const struct snp_certificates      given  = { .vcek = vek, .vlek = vek, .ask = ask };
    const struct snp_request           request = { .report = report, .certificates = &given, .trust = amd, .policy = &policy,
                                                   .now = NOW };
    AUTO(snp_result) struct snp_result result;

    policy.products[SNP_MILAN] = true;
    (void) snp_verify(&request, &result); /* the verdict says it */
    return result.verdict;
}

/* Cloud tenants share chips: two reports may stand on one key, and then either certificate serves. */
static bool same_key(struct bytes a, struct bytes b)
{
    struct snp_certificate x, y;
    struct verdict         verdict;
    struct appraisal       ap = appraisal_start(&verdict, NULL);

    assert_true(snp_certificate_read(a, "VEK", &x, &ap) && snp_certificate_read(b, "VEK", &y, &ap));
    return bytes_equal(x.key_info, y.key_info);
}

static void every_report_on_every_other_certificate_is_refused(void **state)
{
    struct buffer                     reports[N_NAMES], veks[N_NAMES];
    size_t                            n      = 0;
    const struct snp_root            *roots  = snp_amd_roots(&n);
    AUTO(snp_trust) struct snp_trust *amd    = NULL;
    struct err                        err;

    (void) state;
    assert_true(snp_trust_new(roots, n, &amd, NULL, &err));
    for (size_t i = 0; i < N_NAMES; i++) {
        reports[i] = read_snp("reports", names[i], ".bin");
        veks[i]    = read_snp("vek", names[i], ".vcek.der");
    }
    for (size_t i = 0; i < N_NAMES; i++)
        for (size_t j = 0; j < N_NAMES; j++) {
            bool           same = same_key(buffer_bytes(&veks[i]), buffer_bytes(&veks[j]));
            struct verdict v    = judge_amd(amd, buffer_bytes(&reports[i]), buffer_bytes(&veks[j]), (struct bytes){ 0 });

            if (v.accepted != same)
                fail_msg("%s on %s: %s", names[i], names[j], reason_code(v.reason));
            if (!same)
                assert_true(v.reason == REASON_SNP_SIGNATURE || v.reason == REASON_SNP_PRODUCT_BINDING ||
                            v.reason == REASON_SNP_TCB_RESERVED);
        }
    for (size_t i = 0; i < N_NAMES; i++) {
        buffer_free(&reports[i]);
        buffer_free(&veks[i]);
    }
}

/* Each VEK below each intermediate, and below each certificate that is none. */
static void every_exchange_of_intermediates_is_refused(void **state)
{
    static const char *const products[] = { "milan", "genoa", "turin" }, *const roles[] = { "/ask.der", "/asvk.der", "/ark.der" };
    size_t                            n     = 0;
    const struct snp_root            *roots = snp_amd_roots(&n);
    struct snp_trust                 *trusts[3];
    struct err                        err;

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        struct snp_root bare = roots[i];

        bare.ask = bare.asvk = (struct bytes){ 0 }; /* only what is sent */
        assert_true(snp_trust_new(&bare, 1, &trusts[i], NULL, &err));
    }
    for (size_t s = 0; s < 2; s++)
        for (size_t p = 0; p < 3; p++)
            for (size_t r = 0; r < 3; r++) {
                AUTO(buffer) struct buffer mid  = read_snp("ca", products[p], roles[r]);
                struct verdict             v    = judge_amd(trusts[s], buffer_bytes(&sets[s].report),
                                                            buffer_bytes(&sets[s].vek), buffer_bytes(&mid));
                bool                       good = p == s && r == 0;

                assert_int_equal(v.accepted, good);
                if (!good)
                    assert_int_equal(v.reason, REASON_SNP_CERTIFICATE_ISSUER);
            }
    for (size_t i = 0; i < 3; i++)
        snp_trust_free(TAKE(trusts[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_undamaged_sets_are_accepted),
        cmocka_unit_test(every_flipped_bit_of_a_report_is_refused_for_its_reason),
        cmocka_unit_test(every_flipped_bit_of_a_certificate_or_list_is_refused),
        cmocka_unit_test(every_flipped_bit_of_a_root_is_no_root),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flipped_bit_of_a_certificate_table_changes_nothing_or_is_refused),
        cmocka_unit_test(every_report_on_every_other_certificate_is_refused),
        cmocka_unit_test(every_exchange_of_intermediates_is_refused),
    };

    vectors_required("snp/index.json");
    return cmocka_run_group_tests(tests, open_sets, close_sets);
}

/* Lists with one part exchanged. Those whose form is right then fail at the signature, which is how the form is told. */
#include "tests/harness/test.h"

#include "attestation/verifier/der.h"
#include "attestation/verifier/snp_crl.h"
#include "tests/harness/vectors.h"

static struct buffer     list_file, ark;
static struct snp_trust *trust;

static int open_files(void **state)
{
    struct snp_root root = { .name = "test", .product = SNP_MILAN };
    struct err      err;

    (void) state;
    list_file = own_vector("amd-snp/synthetic/crl-milan-ask-revoked.der");
    ark       = own_vector("amd-snp/synthetic/ca-milan-ark.der");
    root.ark  = buffer_bytes(&ark);
    return snp_trust_new(&root, 1, &trust, NULL, &err) ? 0 : 1;
}

static int close_files(void **state)
{
    (void) state;
    snp_trust_free(trust);
    buffer_free(&list_file);
    buffer_free(&ark);
    return 0;
}

static enum verdict_reason judge(struct bytes der)
{
    AUTO(snp_crl) struct snp_crl *crl   = NULL;
    AUTO(heap) uint8_t           *exact = exact_copy(der.at, der.len);
    struct verdict                v;
    struct appraisal              a = appraisal_start(&v, NULL);

    return snp_crl_new(trust, (struct bytes){ exact, der.len }, &crl, &a) ? REASON_OK : v.reason;
}

static void reads_number_times_and_serials(void **state)
{
    static const uint8_t          ask[] = { 0, 0xf1, 0, 1 }, prefix[] = { 0xf1 }, asvk[] = { 0, 0xf1, 1, 1 };
    AUTO(snp_crl) struct snp_crl *crl   = NULL;
    struct verdict                v;
    struct appraisal              a = appraisal_start(&v, NULL);

    (void) state;
    assert_true(snp_crl_new(trust, buffer_bytes(&list_file), &crl, &a));
    assert_true(snp_crl_number(crl) > 0);
    assert_int_equal(snp_crl_this_update(crl), 1735689600);
    assert_true(snp_crl_next_update(crl) > snp_crl_this_update(crl));
    assert_true(snp_crl_lists(crl, BYTES_OF(ask)));
    assert_false(snp_crl_lists(crl, BYTES_OF(asvk)));
    assert_false(snp_crl_lists(crl, BYTES_OF(prefix)));
    assert_false(snp_crl_lists(crl, (struct bytes){ ask, 3 }));
}

static void every_truncation_and_what_follows_is_malformed(void **state)
{
    AUTO(buffer) struct buffer longer = { 0 };

    (void) state;
    for (size_t len = 0; len < list_file.len; len++)
        assert_int_equal(judge((struct bytes){ list_file.at, len }), REASON_SNP_CRL_MALFORMED);
    buffer_append(&longer, buffer_bytes(&list_file));
    buffer_append_text(&longer, "x");
    assert_int_equal(judge(buffer_bytes(&longer)), REASON_SNP_CRL_MALFORMED);
}

enum part { VERSION, INNER_ALGORITHM, ISSUER, THIS_UPDATE, NEXT_UPDATE, ENTRIES, EXTENSIONS, OUTER_ALGORITHM, SIGNATURE, N_PARTS };

static struct bytes take_whole(struct reader *r)
{
    struct bytes before = r->left;
    uint8_t      tag;

    (void) take_der_any(r, &tag); /* only to step over it */
    assert_false(r->failed);
    return (struct bytes){ before.at, before.len - r->left.len };
}

static void append_der(struct buffer *out, uint8_t tag, struct bytes content)
{
    const uint8_t head[] = { tag, 0x82, (uint8_t) (content.len >> 8), (uint8_t) content.len };
    const uint8_t mid[]  = { tag, 0x81, (uint8_t) content.len };
    const uint8_t low[]  = { tag, (uint8_t) content.len };

    buffer_append(out, content.len >= 0x100 ? BYTES_OF(head) : content.len >= 0x80 ? BYTES_OF(mid) : BYTES_OF(low));
    buffer_append(out, content);
}

static enum verdict_reason judge_with(enum part part, struct bytes replacement)
{
    AUTO(buffer) struct buffer tbs = { 0 }, whole = { 0 }, out = { 0 };
    struct reader              outer = reader_over(buffer_bytes(&list_file));
    struct reader              r     = take_der_reader(&outer, DER_SEQUENCE);
    struct reader              inner = take_der_reader(&r, DER_SEQUENCE);
    struct bytes               p[N_PARTS];

    for (enum part i = VERSION; i <= EXTENSIONS; i++)
        p[i] = take_whole(&inner);
    p[OUTER_ALGORITHM] = take_whole(&r);
    p[SIGNATURE]       = take_whole(&r);
    p[part]            = replacement;
    for (enum part i = VERSION; i <= EXTENSIONS; i++)
        buffer_append(&tbs, p[i]);
    append_der(&whole, DER_SEQUENCE, buffer_bytes(&tbs));
    buffer_append(&whole, p[OUTER_ALGORITHM]);
    buffer_append(&whole, p[SIGNATURE]);
    append_der(&out, DER_SEQUENCE, buffer_bytes(&whole));
    return judge(buffer_bytes(&out));
}

#define BYTES(...) ((struct bytes){ (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) })
#define UTC(...)   0x17, 13, __VA_ARGS__, 'Z'
#define NEW_YEAR   UTC('2', '6', '0', '1', '0', '1', '0', '0', '0', '0', '0', '0')
#define NUMBER     0x30, 10, 6, 3, 0x55, 0x1d, 0x14, 4, 3, 2, 1, 9

static void each_part_has_its_reason(void **state)
{
    const struct { enum part part; struct bytes with; enum verdict_reason reason; } rows[] = {
        { VERSION, BYTES(2, 1, 0), REASON_SNP_CRL_MALFORMED },
        { INNER_ALGORITHM, BYTES(0x30, 0), REASON_SNP_CRL_ALGORITHM },
        { OUTER_ALGORITHM, BYTES(0x30, 0), REASON_SNP_CRL_ALGORITHM },
        { ISSUER, BYTES(0x30, 0), REASON_SNP_CRL_ISSUER },
        { THIS_UPDATE, BYTES(0x17, 0), REASON_SNP_CRL_MALFORMED },
        { NEXT_UPDATE, { NULL, 0 }, REASON_SNP_CRL_MALFORMED },
        { ENTRIES, { NULL, 0 }, REASON_SNP_CRL_SIGNATURE },
        { ENTRIES, BYTES(0x30, 2, 0x30, 0), REASON_SNP_CRL_MALFORMED },
        { ENTRIES, BYTES(0x30, 20, 0x30, 18, 2, 1, 5, NEW_YEAR), REASON_SNP_CRL_SIGNATURE },
        { ENTRIES, BYTES(0x30, 19, 0x30, 17, 2, 0, NEW_YEAR), REASON_SNP_CRL_MALFORMED },      /* no serial */
        { ENTRIES, BYTES(0x30, 21, 0x30, 19, 2, 1, 5, NEW_YEAR, 5), REASON_SNP_CRL_MALFORMED },
        { ENTRIES, BYTES(0x30, 34, 0x30, 32, 2, 1, 5, NEW_YEAR, 0x30, 12, 0x30, 10, 6, 3, 0x55, 0x1d, 0x15, 4, 3, 10, 1, 1),
          REASON_SNP_CRL_SIGNATURE },                                                          /* a reason */
        { ENTRIES, BYTES(0x30, 37, 0x30, 35, 2, 1, 5, NEW_YEAR, 0x30, 15, 0x30, 13, 6, 3, 0x55, 0x1d, 0x1d, 1, 1, 0xff, 4, 3, 10,
                         1, 1), REASON_SNP_CRL_EXTENSION },                                    /* a critical issuer */
        { ENTRIES, BYTES(0x30, 23, 0x30, 21, 2, 1, 5, NEW_YEAR, 0x30, 1, 0), REASON_SNP_CRL_MALFORMED },
        { ENTRIES, BYTES(0x30, 36, 0x30, 34, 2, 1, 5, NEW_YEAR, 0x30, 14, 0x30, 12, 6, 3, 0x55, 0x1d, 0x15, 4, 3, 10, 1, 1, 5, 0),
          REASON_SNP_CRL_MALFORMED },
        { EXTENSIONS, { NULL, 0 }, REASON_SNP_CRL_MALFORMED },
        { EXTENSIONS, BYTES(0xa0, 2, 0x30, 0), REASON_SNP_CRL_EXTENSION },                     /* no number */
        { EXTENSIONS, BYTES(0xa0, 14, 0x30, 12, NUMBER), REASON_SNP_CRL_SIGNATURE },
        { EXTENSIONS, BYTES(0xa0, 26, 0x30, 24, NUMBER, NUMBER), REASON_SNP_CRL_EXTENSION },
        { EXTENSIONS, BYTES(0xa0, 14, 0x30, 12, 0x30, 10, 6, 3, 0x55, 0x1d, 0x14, 4, 3, 4, 1, 9), REASON_SNP_CRL_EXTENSION },
        { EXTENSIONS, BYTES(0xa0, 15, 0x30, 13, 0x30, 11, 6, 3, 0x55, 0x1d, 0x14, 4, 4, 2, 1, 9, 0), REASON_SNP_CRL_EXTENSION },
        { EXTENSIONS, BYTES(0xa0, 27, 0x30, 25, NUMBER, 0x30, 11, 6, 3, 0x55, 0x1d, 0x1b, 1, 1, 0xff, 4, 1, 0),
          REASON_SNP_CRL_EXTENSION },                                                          /* a delta list */
        { EXTENSIONS, BYTES(0xa0, 24, 0x30, 22, NUMBER, 0x30, 8, 6, 3, 0x55, 0x1d, 0x1b, 4, 1, 0), REASON_SNP_CRL_SIGNATURE },
        { EXTENSIONS, BYTES(0xa0, 27, 0x30, 25, NUMBER, 0x30, 11, 6, 3, 0x55, 0x1d, 0x23, 1, 1, 0xff, 4, 1, 0),
          REASON_SNP_CRL_SIGNATURE },                                                          /* a key identifier */
        { EXTENSIONS, BYTES(0xa0, 16, 0x30, 14, NUMBER, 0x30, 0), REASON_SNP_CRL_MALFORMED },
        { EXTENSIONS, BYTES(0xa0, 3, 0x30, 1, 5), REASON_SNP_CRL_MALFORMED },
        { SIGNATURE, BYTES(3, 2, 7, 0), REASON_SNP_CRL_MALFORMED },
        { SIGNATURE, BYTES(3, 2, 0, 0), REASON_SNP_CRL_SIGNATURE },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum verdict_reason reason = judge_with(rows[i].part, rows[i].with);

        if (reason != rows[i].reason)
            fail_msg("row %zu: %s, wanted %s", i, reason_code(reason), reason_code(rows[i].reason));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_number_times_and_serials),
        cmocka_unit_test(every_truncation_and_what_follows_is_malformed),
        cmocka_unit_test(each_part_has_its_reason),
    };

    return cmocka_run_group_tests(tests, open_files, close_files);
}

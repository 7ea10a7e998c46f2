/*
 * Every class of evidence from challenge to released key, bound to the nonce that the broker gave: TDs under a root of tests,
 * guests behind Azure's paravisor with SNP and with TDX. Then each again with one thing wrong, and the broker's reason.
 */
#include <time.h>

#include "base/text.h"
#include "tests/harness/azure_maker.h"
#include "tests/harness/swtpm.h"

#define URI "kbs:///default/image-key/1"

static struct test_broker broker;
static struct tdx_maker   maker;
static struct tpm_guest   tpm; /* an attestation key made by OpenSSL; swtpm's has a test of its own */
static struct secret      key;

/* ---- a broker that is told which roots to trust ---- */

static void file_in(const char *name, const struct buffer *content)
{
    char       path[PATH_MAX];
    struct err err;

    test_broker_path(&broker, name, path);
    assert_fine(file_write(path, buffer_bytes(content), 0600, &err), &err);
}

static void collateral_write(const struct tdx_maker_collateral *c)
{
    AUTO(buffer) struct buffer text = { 0 };

    tdx_maker_bundle(&maker, c, &text);
    file_in("collateral.json", &text);
}

static void broker_with(const struct tdx_maker_collateral *c)
{
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    collateral_write(c);
    test_broker_start(&broker);
}

/* AMD's and Intel's own roots are trusted as well: evidence of tests has to find its way past them. */
static void configure(void)
{
    AUTO(buffer) struct buffer pem = { 0 }, more = { 0 };
    const char                *source = getenv("CLOISTER_SOURCE");

    tdx_maker_pem(maker.root, &pem);
    file_in("tdx-root.pem", &pem);
    buffer_printf(&more, "store = \"%s/classes.db\"\ntdx_root = \"%s/tests/vectors/tdx/intel_v4/root_ca.pem\"\n", broker.folder, source ? source : ".");
    buffer_printf(&more, "tdx_development_root = \"%s/tdx-root.pem\"\ncollateral = \"%s/collateral.json\"\n", broker.folder, broker.folder);
    test_broker_configure(&broker, "classes.toml", buffer_text(&more));
    broker.config = "classes.toml";
}

/* ---- reference values ---- */

static void value_add(struct admin_client *admin, const char *name, struct bytes value)
{
    AUTO(buffer) struct buffer list = { 0 };
    struct admin_document      d    = { .kind = "reference-value", .name = name, .adds = true };
    uint64_t                   version;
    struct err                 err;

    buffer_append_text(&list, "[\"");
    hex_append(&list, value);
    buffer_append_text(&list, "\"]");
    d.text = buffer_bytes(&list);
    assert_fine(admin_document_put(admin, &d, &version, &err), &err);
}

static void initdata_add(struct admin_client *admin, const char *tee, struct bytes digest)
{
    AUTO(buffer) struct buffer hex       = { 0 };
    struct admin_reference     reference = { .kind = "initdata", .tee = tee, .resource = URI };
    uint64_t                   id;
    struct err                 err;

    hex_append(&hex, digest);
    reference.value = buffer_text(&hex);
    assert_fine(admin_reference_add(admin, &reference, &id, &err), &err);
}

static const uint8_t INITDATA[SHA256_LEN] = { 0x1d }; /* a digest; its text is not sent along */

static void register_all(struct admin_client *admin)
{
    const struct tdx_guest  td  = tdx_guest_good(&maker);
    const struct test_guest snp = test_guest_good(&broker);
    uint8_t                 xfam[8];
    struct writer           w = writer_over(xfam, sizeof xfam);

    put_u64le(&w, td.xfam);
    value_add(admin, "mr_td", BYTES_OF(td.mrtd));
    value_add(admin, "rtmr_1", BYTES_OF(td.rtmr[1]));
    value_add(admin, "rtmr_2", BYTES_OF(td.rtmr[2]));
    value_add(admin, "xfam", BYTES_OF(xfam));
    value_add(admin, "measurement", BYTES_OF(snp.measurement));
    value_add(admin, "snp_pcr11", BYTES_OF(tpm.pcr[11]));
    value_add(admin, "tdx_pcr11", BYTES_OF(tpm.pcr[11]));
    initdata_add(admin, "tdx", BYTES_OF(td.mrconfigid));
    initdata_add(admin, "az-snp-vtpm", BYTES_OF(INITDATA));
    initdata_add(admin, "az-tdx-vtpm", BYTES_OF(INITDATA));
}

static int make(void **state)
{
    AUTO(admin_client) struct admin_client *admin = NULL;
    struct tdx_maker_collateral             good;
    struct err                              err;

    (void) state;
    maker = tdx_maker_new((int64_t) time(NULL));
    good  = tdx_maker_good(&maker);
    tpm   = tpm_guest_new();
    tpm_guest_extend(&tpm, 8, INITDATA);
    test_broker_make(&broker);
    configure();
    broker_with(&good);
    admin = test_admin(&broker);
    assert_fine(secret_random(32, &key, &err) && admin_resource_put(admin, URI, &key, &err), &err);
    register_all(admin);
    return 0;
}

static int clean(void **state)
{
    (void) state;
    secret_free(&key);
    auto_tpm_guest(&tpm);
    test_broker_free(&broker);
    tdx_maker_free(&maker);
    return 0;
}

/* ---- guests ---- */

/* A TD that shows its quote itself; `report_data` NULL: what it was asked for. */
struct direct_guest {
    const struct tdx_guest *td;
    const uint8_t          *report_data;
};

static bool direct_evidence(void *owner, const uint8_t report_data[static KBS_REPORT_DATA_LEN], struct buffer *json, struct err *err)
{
    const struct direct_guest                       *g = owner;
    AUTO(evidence_envelope) struct evidence_envelope e = { .kind = ENVELOPE_TDX };
    uint8_t                                          field[64] = { 0 };

    memcpy(field, g->report_data ? g->report_data : report_data, KBS_REPORT_DATA_LEN);
    tdx_guest_quote(g->td, field, &e.td_quote);
    return evidence_envelope_write(&e, json, err);
}

static bool fetch(const struct kbs_attester *attester, struct kbs_verdict *verdict, struct secret *out, struct err *err)
{
    struct kbs_options                  options = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca), .timeout_ms = 60000 };
    AUTO(kbs_client) struct kbs_client *client  = NULL;

    assert_fine(kbs_client_new(&options, &client, err), err);
    return kbs_attest(client, attester, verdict, err) && kbs_resource_get(client, URI, out, err);
}

static void assert_released(const struct kbs_attester *attester)
{
    AUTO(secret) struct secret got     = { 0 };
    struct kbs_verdict         verdict = { 0 };
    struct err                 err;

    if (!fetch(attester, &verdict, &got, &err))
        fail_msg("%s: %s (%s: %s)", attester->tee, err.text, verdict.status, verdict.reason);
    assert_string_equal(verdict.status, "warning"); /* what a root of tests vouches for is never affirmed */
    assert_true(secret_equal(&got, &key));
}

/* `reason` begins what the broker says of the evidence. */
static void assert_refused(const struct kbs_attester *attester, const char *what, const char *reason)
{
    static const char          BEFORE[] = "RCAR handshake Attest failed: ";
    AUTO(secret) struct secret got      = { 0 };
    struct err                 err;

    if (fetch(attester, NULL, &got, &err))
        fail_msg("%s: %s: released", attester->tee, what);
    if (strncmp(err.text, BEFORE, strlen(BEFORE)) != 0 || strncmp(err.text + strlen(BEFORE), reason, strlen(reason)) != 0)
        fail_msg("%s: %s: \"%s\" is not in front of: %s", attester->tee, what, reason, err.text);
    assert_int_equal(err.kind, ERR_DENIED);
    assert_null(got.held);
}

static void assert_denied(const struct kbs_attester *attester, const char *text)
{
    AUTO(secret) struct secret got = { 0 };
    struct err                 err;

    assert_false(fetch(attester, NULL, &got, &err));
    assert_string_equal(err.text, text);
    assert_int_equal(err.kind, ERR_DENIED);
}

static const uint8_t OTHERS[KBS_REPORT_DATA_LEN] = { 1 };

/* ---- tdx ---- */

static struct kbs_attester direct(struct direct_guest *g)
{
    return (struct kbs_attester){ .tee = "tdx", .evidence = direct_evidence, .owner = g };
}

static void a_td_under_the_root_of_tests_gets_its_key(void **state)
{
    const struct tdx_guest    td       = tdx_guest_good(&maker);
    struct direct_guest       guest    = { &td, NULL };
    const struct kbs_attester attester = direct(&guest);

    (void) state;
    assert_released(&attester);
    assert_released(&attester); /* with a platform that is known */
}

static void a_td_with_one_defect_is_refused_for_it(void **state)
{
    AUTO(tdx_maker) struct tdx_maker other = tdx_maker_new(maker.now);
    enum defect { REPORT_DATA, DEBUG, SEPT_VE, MIGRATABLE, XFAM, SIGNATURE, KEY, TCB, ROOT, INITDATA_TEXT, N_DEFECTS };
    static const struct { const char *what, *reason; } ROWS[N_DEFECTS] = {
        [REPORT_DATA] = { "report data of another key and nonce", "tdx-policy-report-data: " },
        [DEBUG]       = { "a TD that may be debugged", "tdx-policy-debug: " },
        [SEPT_VE]     = { "#VE at the host's will", "tdx-policy-sept-ve-disable: " },
        [MIGRATABLE]  = { "a TD that may be migrated", "tdx-policy-migratable: " },
        [XFAM]        = { "XFAM without SSE", "tdx-policy-xfam: " },
        [SIGNATURE]   = { "a bit of the signature", "tdx-bad-quote-signature: " },
        [KEY]         = { "a key that the QE did not make", "tdx-bad-qe-report-data: " },
        [TCB]         = { "a TCB below every level", "tdx-tcb-not-supported: " },
        [ROOT]        = { "another root of tests", "TDX collateral: tdx-" },
        [INITDATA_TEXT] = { "initdata that is not in MRCONFIGID", "initdata: its digest is not the one in the report" },
    };

    (void) state;
    for (enum defect defect = 0; defect < N_DEFECTS; defect++) {
        struct tdx_guest    td       = tdx_guest_good(defect == ROOT ? &other : &maker);
        struct direct_guest guest    = { &td, defect == REPORT_DATA ? OTHERS : NULL };
        struct kbs_attester attester = direct(&guest);

        td.attributes |= defect == DEBUG ? 1 : defect == MIGRATABLE ? 1ULL << 29 : 0;
        td.attributes = defect == SEPT_VE ? 0 : td.attributes;
        td.xfam ^= defect == XFAM ? 2 : 0;
        td.breaks_signature = defect == SIGNATURE;
        td.breaks_key       = defect == KEY;
        td.component        = defect == TCB ? 4 : td.component;
        if (defect == INITDATA_TEXT)
            attester.initdata = bytes_of_text("version = \"0.1.0\"\nalgorithm = \"sha384\"\n[data]\n\"a\" = \"b\"\n");
        assert_refused(&attester, ROWS[defect].what, ROWS[defect].reason);
    }
}

static void collateral_with_one_defect_refuses_the_platform(void **state)
{
    struct tdx_maker_collateral good = tdx_maker_good(&maker), status = good, documents = good, lists = good, revoked = good;
    const struct { const char *what, *reason; const struct tdx_maker_collateral *c; } rows[] = {
        { "a platform that is out of date", "tdx-tcb-status: ", &status },
        { "a platform whose keys are out", "tdx-tcb-status: ", &status },
        { "documents past their time", "tdx-collateral-expired: ", &documents },
        { "lists past their time", "tdx-crl-expired: ", &lists },
        { "a PCK certificate that was revoked", "tdx-pck-revoked: ", &revoked },
    };
    const struct tdx_guest    td       = tdx_guest_good(&maker);
    struct direct_guest       guest    = { &td, NULL };
    const struct kbs_attester attester = direct(&guest);

    (void) state;
    documents.documents_end = maker.now - 60;
    lists.lists_end         = maker.now - 60;
    revoked.revoked_leaf    = TDX_MAKER_LEAF_SERIAL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        status.tcb_status = i == 0 ? "OutOfDate" : "Revoked";
        broker_with(rows[i].c);
        assert_refused(&attester, rows[i].what, rows[i].reason);
    }
    broker_with(&good);
    assert_released(&attester);
}

static void genuine_evidence_of_values_that_nobody_registered_gets_nothing(void **state)
{
    static const char         UNAFFIRMED[] = "the attestation policy does not affirm this guest's hardware and executables";
    struct tdx_guest          td       = tdx_guest_good(&maker);
    struct direct_guest       guest    = { &td, NULL };
    const struct kbs_attester attester = direct(&guest);

    (void) state;
    td.rtmr[2][0] ^= 1;
    assert_denied(&attester, UNAFFIRMED);
    td.rtmr[2][0] ^= 1;
    td.mrconfigid[0] = 0xab;
    assert_denied(&attester, "initdata digest ab22222222222222... is not a registered reference value for default/image-key/1");
}

/* ---- behind Azure's paravisor ---- */

static struct kbs_attester azure(struct azure_guest *g)
{
    return (struct kbs_attester){ .tee = g->snp ? "az-snp-vtpm" : "az-tdx-vtpm", .evidence = azure_evidence, .owner = g };
}

static void guests_behind_azures_paravisor_get_their_key(void **state)
{
    const struct tdx_guest  td  = tdx_guest_good(&maker);
    const struct test_guest snp = test_guest_good(&broker);

    (void) state;
    for (int i = 0; i < 2; i++) {
        struct azure_guest        guest    = { .snp = i ? NULL : &snp, .tdx = i ? &td : NULL, .tpm = &tpm };
        const struct kbs_attester attester = azure(&guest);

        assert_released(&attester);
    }
}

/* Bound to a digest as it was computed: a TD's field holds it padded, a TPM's register extended. */
static void a_secret_may_be_bound_to_the_initdata_of_any_class(void **state)
{
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    const struct tdx_guest                  td    = tdx_guest_good(&maker);
    const struct test_guest                 snp   = test_guest_good(&broker);
    struct direct_guest                     alone = { &td, NULL };
    struct azure_guest                      behind[] = { { .snp = &snp, .tpm = &tpm }, { .tdx = &td, .tpm = &tpm } };
    const struct kbs_attester               attesters[] = { direct(&alone), azure(&behind[0]), azure(&behind[1]) };
    const struct bytes                      digests[]   = { BYTES_OF(td.mrconfigid), BYTES_OF(INITDATA), BYTES_OF(INITDATA) };
    uint64_t                                version;
    struct err                              err;

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        AUTO(buffer) struct buffer text     = { 0 };
        struct admin_document      document = { .kind = "binding", .name = "default/image-key/1" };

        buffer_append_text(&text, "{\"initdata\":[\"");
        hex_append(&text, digests[i]);
        buffer_append_text(&text, "\"]}");
        document.text = buffer_bytes(&text);
        assert_fine(admin_document_put(admin, &document, &version, &err), &err);
        assert_released(&attesters[i]);
        text.at[14] = text.at[14] == '0' ? '1' : '0';
        document.text = buffer_bytes(&text);
        assert_fine(admin_document_put(admin, &document, &version, &err), &err);
        assert_denied(&attesters[i], "default/image-key/1 is bound to other initdata than this guest's");
    }
    assert_fine(admin_document_remove(admin, "binding", "default/image-key/1", &err), &err);
}

/* The same with a real TPM's attestation key, registers and quote. */
static void a_real_software_tpm_signs_as_well(void **state)
{
    const struct tdx_guest  td  = tdx_guest_good(&maker);
    const struct test_guest snp = test_guest_good(&broker);
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);
    struct tpm_envelope     zero = { .message = { 0 } };
    struct swtpm            real;

    (void) state;
    if (!swtpm_start(&real))
        skip();
    swtpm_extend(&real, 8, INITDATA);
    value_add(admin, "snp_pcr11", BYTES_OF(zero.pcr[11])); /* nothing was measured into it */
    value_add(admin, "tdx_pcr11", BYTES_OF(zero.pcr[11]));
    for (int i = 0; i < 2; i++) {
        struct azure_guest        guest    = { .snp = i ? NULL : &snp, .tdx = i ? &td : NULL, .tpm = &tpm, .named = real.ak_public,
                                               .quote = swtpm_quote, .owner = &real };
        const struct kbs_attester attester = azure(&guest);

        assert_released(&attester);
        guest.named = NULL;
        assert_refused(&attester, "a TPM that the hardware does not name", "tpm-signature: ");
    }
    swtpm_stop(&real);
}

enum azure_defect { NONCE, USER_DATA, CLAIMS, NAMED_KEY, REGISTER, TD_REPORT, DEBUGGED, HARDWARE, INITDATA_PCR, N_AZURE_DEFECTS };

static void azure_refused(bool is_snp, enum azure_defect defect, const char *what, const char *reason)
{
    AUTO(pkey) EVP_PKEY *other = defect == NAMED_KEY ? EVP_RSA_gen(2048) : NULL;
    struct tdx_guest     td    = tdx_guest_good(&maker);
    struct test_guest    snp   = test_guest_good(&broker);
    struct azure_guest   guest = { .snp = is_snp ? &snp : NULL, .tdx = is_snp ? NULL : &td, .tpm = &tpm, .named = other };
    struct kbs_attester  attester = azure(&guest);

    guest.report_data      = defect == NONCE ? OTHERS : NULL;
    guest.user_data        = defect == USER_DATA ? OTHERS : NULL;
    guest.claims_change    = defect == CLAIMS;
    guest.register_differs = defect == REGISTER;
    guest.report_differs   = defect == TD_REPORT;
    snp.policy |= defect == DEBUGGED ? 1 << 19 : 0;
    td.attributes |= defect == DEBUGGED;
    snp.breaks_signature = td.breaks_signature = defect == HARDWARE;
    if (defect == INITDATA_PCR)
        attester.initdata = bytes_of_text("version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n\"a\" = \"b\"\n");
    assert_refused(&attester, what, reason);
}

static void a_guest_behind_azures_paravisor_with_one_defect_is_refused_for_it(void **state)
{
    static const struct { const char *what, *snp, *tdx; } ROWS[N_AZURE_DEFECTS] = {
        [NONCE]        = { "a quote over another nonce", "tpm-nonce: ", "tpm-nonce: " },
        [USER_DATA]    = { "user data of another key and nonce", "tpm-hcl-user-data: ", "tpm-hcl-user-data: " },
        [CLAIMS]       = { "claims that the hardware did not sign", "tpm-hcl-binding: ", "tpm-hcl-binding: " },
        [NAMED_KEY]    = { "a quote by a key that the claims do not name", "tpm-signature: ", "tpm-signature: " },
        [REGISTER]     = { "a register that was not quoted", "tpm-pcr-digest: ", "tpm-pcr-digest: " },
        [TD_REPORT]    = { "a TDREPORT of another TD", NULL, "tpm-hcl-binding: " },
        [DEBUGGED]     = { "a guest that may be debugged", "snp-debug: ", "tdx-policy-debug: " },
        [HARDWARE]     = { "a bit of the hardware's signature", "snp-signature: ", "tdx-bad-quote-signature: " },
        [INITDATA_PCR] = { "initdata that is not in PCR 8", "initdata: its digest is not the one in PCR 8", "initdata: its digest is not the one in PCR 8" },
    };

    (void) state;
    for (enum azure_defect defect = 0; defect < N_AZURE_DEFECTS; defect++) {
        if (ROWS[defect].snp)
            azure_refused(true, defect, ROWS[defect].what, ROWS[defect].snp);
        azure_refused(false, defect, ROWS[defect].what, ROWS[defect].tdx);
    }
}

/* Of another development root nothing is known: it is judged by AMD's, under which it does not stand. */
static void azures_evidence_under_another_root_of_tests_is_refused(void **state)
{
    AUTO(development_root) struct development_root other = { 0 };
    struct test_guest                              snp   = test_guest_good(&broker);
    struct azure_guest                             guest = { .snp = &snp, .tpm = &tpm };
    const struct kbs_attester                      attester = azure(&guest);
    char                                           path[PATH_MAX];
    struct err                                     err;

    (void) state;
    test_broker_path(&broker, "other-tee", path);
    assert_fine(development_root_make(path, (int64_t) time(NULL), &err) && development_root_load(path, &other, &err), &err);
    snp.root = &other;
    assert_refused(&attester, "another root of tests", "snp-");
}

/* ---- from one broker's cache to another's bundle ---- */

static int broker_run(const char *command, const char *config, const char *operand)
{
    const char                *build = getenv("CLOISTER_BUILD");
    char                       program[PATH_MAX], path[PATH_MAX];
    const char                *argv[] = { program, command, "--config", path, operand, NULL };
    AUTO(buffer) struct buffer out    = { 0 };
    int                        code   = -1;
    struct err                 err;

    test_broker_path(&broker, config, path);
    (void) snprintf(program, sizeof program, "%s/cloister-broker", build ? build : "."); /* a cut path does not start */
    assert_fine(process_run(command[0] ? argv : (const char *const[]){ program, "--config", path, NULL }, (struct bytes){ 0 }, 1 << 16, 60000,
                            &out, &code, &err), &err);
    return code;
}

/* The root's list as a PCCS has it: in hex. */
static void cache_fill(const char *base)
{
    const struct tdx_maker_collateral good       = tdx_maker_good(&maker);
    struct answer                     answers[4] = { { { 0 } } };
    AUTO(buffer) struct buffer        hex        = { 0 };
    char                              path[PATH_MAX];
    struct err                        err;

    tdx_maker_answers(&maker, &good, base, answers);
    hex_append(&hex, buffer_bytes(&answers[3].body));
    buffer_free(&answers[3].body);
    answers[3].body = TAKE(hex);
    test_broker_path(&broker, "cache", path);
    assert_fine(directory_make(path, &err), &err);
    for (int i = 0; i < 4; i++) {
        AUTO(json) struct json_object *json = answer_to_json(&answers[i]);
        AUTO(buffer) struct buffer     text = { 0 };
        char                           name[32];

        json_write(json, &text);
        (void) snprintf(name, sizeof name, "cache/%d.json", i); /* fits */
        file_in(name, &text);
        answer_free(&answers[i]);
    }
}

static void what_one_broker_fetched_serves_another_without_a_network(void **state)
{
    static const char          BASE[] = "https://pccs.internal:8081";
    const struct tdx_guest     td     = tdx_guest_good(&maker);
    struct direct_guest        guest  = { &td, NULL };
    const struct kbs_attester  attester = direct(&guest);
    AUTO(buffer) struct buffer more   = { 0 };
    char                       bundle[PATH_MAX];

    (void) state;
    buffer_printf(&more, "store = \"%s/other.db\"\ncollateral_hosts = \"pccs.internal:8081\"\nintel_pcs = \"%s\"\ncollateral_cache = \"%s/cache\"\n",
                  broker.folder, BASE, broker.folder);
    test_broker_configure(&broker, "online.toml", buffer_text(&more));
    test_broker_path(&broker, "collateral.json", bundle);
    assert_int_equal(broker_run("bundle", "online.toml", bundle), 1); /* nothing was fetched */
    assert_int_equal(broker_run("bundle", "classes.toml", bundle), 1); /* nothing is ever kept */
    cache_fill(BASE);
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    assert_int_equal(unlink(bundle), 0);
    assert_int_equal(broker_run("bundle", "online.toml", bundle), 0);
    test_broker_start(&broker);
    assert_released(&attester);
}

/* ---- production ---- */

static void a_root_of_tests_is_refused_as_intels(void **state)
{
    AUTO(buffer) struct buffer more = { 0 };

    (void) state;
    buffer_printf(&more, "store = \"%s/other.db\"\ntdx_root = \"%s/tdx-root.pem\"\n", broker.folder, broker.folder);
    test_broker_configure(&broker, "wrong.toml", buffer_text(&more));
    assert_int_equal(broker_run("", "wrong.toml", NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_td_under_the_root_of_tests_gets_its_key),
        cmocka_unit_test(a_td_with_one_defect_is_refused_for_it),
        cmocka_unit_test(collateral_with_one_defect_refuses_the_platform),
        cmocka_unit_test(genuine_evidence_of_values_that_nobody_registered_gets_nothing),
        cmocka_unit_test(guests_behind_azures_paravisor_get_their_key),
        cmocka_unit_test(a_secret_may_be_bound_to_the_initdata_of_any_class),
        cmocka_unit_test(a_real_software_tpm_signs_as_well),
        cmocka_unit_test(a_guest_behind_azures_paravisor_with_one_defect_is_refused_for_it),
        cmocka_unit_test(azures_evidence_under_another_root_of_tests_is_refused),
        cmocka_unit_test(what_one_broker_fetched_serves_another_without_a_network),
        cmocka_unit_test(a_root_of_tests_is_refused_as_intels),
    };

    return cmocka_run_group_tests(tests, make, clean);
}

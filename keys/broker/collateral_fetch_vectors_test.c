/*
 * Collateral that is fetched: doubles of AMD's and Intel's services on the loopback serve what the real ones said, and genuine
 * evidence is judged with it. It was made for other nonces: it must pass every check but that.
 */
#include "tests/harness/certificate.h"
#include "tests/harness/http_service.h"
#include "tests/harness/vectors.h"

#include "attestation/collateral/pcs.h"
#include "attestation/evidence/snp_evidence.h"
#include "attestation/verifier/instant.h"
#include "base/text.h"
#include "keys/broker/appraise.h"
#include "keys/broker/fetched.h"

#define NONCE      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define SNP_POLICY "{\"products\":[\"Milan\",\"Genoa\"],\"crl\":\"require\",\"platform_require\":[],\"id_key_digest\":\"any\",\"family_id\":\"any\",\"image_id\":\"any\",\"author_key_digest\":\"any\"," \
                   "\"guest_policy_allow\":[\"smt\",\"migrate-ma\"],\"allow\":[\"migration-agent\",\"provisional-firmware\"]}"
#define TDX_POLICY "{\"tcb_status\":[\"OutOfDate\"],\"allow_sept_ve\":true,\"advisories\":" \
                   "[\"INTEL-SA-00837\",\"INTEL-SA-00960\",\"INTEL-SA-00982\",\"INTEL-SA-00986\"]}"
#define TDX_FOLDER "tdx/real/collateral/00806f_2025-10/"

enum { VCEK, SNP_CRL, TCB_INFO, QE_IDENTITY, PCK_CRL, ROOT_CRL, N_ROWS };

static struct jwk          tee_key;
static struct buffer       ca, key_pem, intel_root, bodies[N_ROWS], chain;
static char                ca_path[PATH_MAX], *folder;
static char                vcek_path[512];
static struct json_object *snp, *tdx; /* evidence; the former without its certificates */

static struct json_object *snp_document(void)
{
    AUTO(buffer) struct buffer text = shared_vector("coco/snp/evidence-genoa-v3-ascoco.json");
    struct json_object        *out  = NULL, *certificates, *data, *chip;
    struct err                 err;

    assert_true(json_read(buffer_bytes(&text), VECTOR_LEN_MAX, &out, &err));
    assert_true(json_get(out, "cert_chain", json_type_array, &certificates, &err));
    assert_true(json_get(json_object_array_get_idx(certificates, 0), "data", json_type_array, &data, &err));
    for (size_t i = 0; i < json_object_array_length(data); i++) {
        uint8_t byte = (uint8_t) json_object_get_int(json_object_array_get_idx(data, i));

        buffer_append(&bodies[VCEK], (struct bytes){ &byte, 1 });
    }
    assert_true(json_get(json_object_object_get(out, "attestation_report"), "chip_id", json_type_array, &chip, &err));
    (void) snprintf(vcek_path, sizeof vcek_path, "/vcek/v1/Genoa/"); /* fits, and so does what follows */
    for (size_t i = 0; i < json_object_array_length(chip); i++)
        (void) snprintf(vcek_path + strlen(vcek_path), 3, "%02x", (unsigned) json_object_get_int(json_object_array_get_idx(chip, i)));
    (void) snprintf(vcek_path + strlen(vcek_path), 64, "?blSPL=10&teeSPL=0&snpSPL=23&ucodeSPL=25");
    json_object_object_del(out, "cert_chain");
    return out;
}

static struct json_object *tdx_document(void)
{
    AUTO(buffer) struct buffer quote = shared_vector("coco/az-tdx-vtpm/td-quote.bin");
    AUTO(buffer) struct buffer text  = { 0 };
    struct json_object        *out   = json_object_new_object();

    base64_append(&text, buffer_bytes(&quote), BASE64_STANDARD);
    json_add(out, "cc_eventlog", NULL);
    json_add_text(out, "quote", buffer_text(&text));
    return out;
}

static int make(void **state)
{
    AUTO(pkey) EVP_PKEY       *key   = NULL;
    AUTO(buffer) struct buffer plain = shared_vector(TDX_FOLDER "tcb_info_issuer_chain.pem"), root_crl = shared_vector(TDX_FOLDER "root_ca_crl.der");
    struct err                 err;

    (void) state;
    test_certificate_make(&ca, &key_pem);
    if (!jwk_generate_p256(&key, &err) || !jwk_of_key(key, "ECDH-ES+A256KW", &tee_key, &err) ||
        !directory_make_temporary("fetch-", &folder, &err))
        return 1;
    (void) snprintf(ca_path, sizeof ca_path, "%s/ca.pem", folder); /* a cut path fails to open */
    if (!file_write(ca_path, buffer_bytes(&ca), 0600, &err))
        return 1;
    snp                 = snp_document();
    tdx                 = tdx_document();
    intel_root          = shared_vector("tdx/real/intel_sgx_root_ca.der");
    bodies[SNP_CRL]     = shared_vector("snp/crl/genoa-004.der");
    bodies[TCB_INFO]    = shared_vector(TDX_FOLDER "tcb_info.json");
    bodies[QE_IDENTITY] = shared_vector(TDX_FOLDER "qe_identity.json");
    bodies[PCK_CRL]     = shared_vector(TDX_FOLDER "pck_crl.der");
    hex_append(&bodies[ROOT_CRL], buffer_bytes(&root_crl)); /* as a PCCS has it */
    for (size_t i = 0; i < plain.len; i++)
        buffer_printf(&chain, "%%%02X", plain.at[i]);
    return 0;
}

static int clean(void **state)
{
    struct err err;

    (void) state;
    for (int i = 0; i < N_ROWS; i++)
        buffer_free(&bodies[i]);
    buffer_free(&ca);
    buffer_free(&key_pem);
    buffer_free(&intel_root);
    buffer_free(&chain);
    jwk_free(&tee_key);
    json_object_put(snp);
    json_object_put(tdx);
    if (!directory_remove(folder, &err))
        return 1;
    free(folder);
    return 0;
}

/* A double of both services, and an appraiser that may ask it. */
struct fixture {
    struct http_row            rows[N_ROWS];
    struct http_service        service;
    struct collateral_sources *sources;
    struct appraiser          *appraiser;
    int64_t                    now;
};

static struct collateral_sources *sources_of(const struct fixture *f, const char *hosts, const char *cache)
{
    struct collateral_sources_options options = { .hosts = hosts ? hosts : f->service.base + strlen("https://"), .cache = cache, .ca_file = ca_path,
                                                  .kds = f->service.base, .pcs = f->service.base, .timeout_ms = 60000 };
    struct collateral_sources        *out     = NULL;
    struct err                        err;

    if (!collateral_sources_new(&options, &out, &err))
        fail_msg("%s", err.text);
    return out;
}

static struct appraiser *appraiser_of(struct collateral_sources *sources)
{
    struct appraiser_options o = { .amd = true, .crl_required = true, .snp_policy = bytes_of_text(SNP_POLICY), .tdx_root = buffer_bytes(&intel_root),
                                   .tdx_policy = bytes_of_text(TDX_POLICY), .sources = sources };
    struct appraiser        *a = NULL;
    struct err               err;

    if (!appraiser_new(&o, &a, &err))
        fail_msg("%s", err.text);
    return a;
}

static void fixture_open(struct fixture *f, const char *cache)
{
    static const char *const PATHS[N_ROWS] = {
        [SNP_CRL]     = "/vcek/v1/Genoa/crl",
        [TCB_INFO]    = "/tdx/certification/v4/tcb?fmspc=00806f050000&update=standard",
        [QE_IDENTITY] = "/tdx/certification/v4/qe/identity?update=standard",
        [PCK_CRL]     = "/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
        [ROOT_CRL]    = "/sgx/certification/v4/rootcacrl",
    };

    *f = (struct fixture){ 0 };
    for (int i = 0; i < N_ROWS; i++)
        f->rows[i] = (struct http_row){ PATHS[i] ? PATHS[i] : vcek_path, 200, buffer_bytes(&bodies[i]), NULL, NULL, 0, 0 };
    f->rows[TCB_INFO].header = "TCB-Info-Issuer-Chain";
    f->rows[TCB_INFO].value  = buffer_text(&chain);
    f->service               = (struct http_service){ .rows = f->rows, .n_rows = N_ROWS, .certificate_pem = buffer_text(&ca), .key_pem = buffer_text(&key_pem) };
    http_service_start(&f->service);
    f->sources   = sources_of(f, NULL, cache);
    f->appraiser = appraiser_of(f->sources);
    assert_true(instant_of_text(bytes_of_text("2025-11-01T00:00:00Z"), &f->now));
}

static void fixture_close(struct fixture *f)
{
    appraiser_free(f->appraiser);
    collateral_sources_free(f->sources);
    http_service_stop(&f->service);
}

/* As the broker does it: what is wanted is asked for, and then it is judged again. Why it is refused in the end. */
static void assert_refused(struct fixture *f, enum tee tee, const char *text)
{
    AUTO(outside_job) struct outside_job *job         = outside_collateral(f->sources, f->now);
    struct rcar_attestation               attestation = { .nonce = NONCE, .additional = "", .evidence = tee == TEE_SNP ? snp : tdx, .tee_key = tee_key };
    struct appraise_question              question    = { .tee = tee, .attestation = &attestation, .now = f->now, .wanted = job };
    struct facts                          facts       = { 0 };
    struct err                            err;

    assert_false(appraise(f->appraiser, &question, &facts, &err));
    if (job->n_documents > 0) {
        assert_int_equal(err.kind, ERR_NOT_FOUND);
        for (size_t i = 0; i < job->n_documents; i++)
            collateral_sources_get(f->sources, f->now, &job->documents[i]);
        appraiser_bring(f->appraiser, job, f->now);
        question.wanted = NULL;
        assert_false(appraise(f->appraiser, &question, &facts, &err));
    }
    if (!strstr(err.text, text))
        fail_msg("%s: \"%s\" is not in: %s", tee_name(tee), text, err.text);
    assert_int_equal(err.kind, ERR_UNTRUSTED);
}

#define SNP_BINDING "snp-report-data: "
#define TDX_BINDING "tdx-policy-report-data: "

static void what_is_missing_is_fetched_once(void **state)
{
    struct fixture f;

    (void) state;
    fixture_open(&f, NULL);
    assert_refused(&f, TEE_SNP, SNP_BINDING);
    assert_int_equal(f.service.n_asked, 2); /* VCEK, list */
    assert_refused(&f, TEE_TDX, TDX_BINDING);
    assert_int_equal(f.service.n_asked, 6);
    assert_refused(&f, TEE_SNP, SNP_BINDING);
    assert_refused(&f, TEE_TDX, TDX_BINDING);
    assert_int_equal(f.service.n_asked, 6);
    fixture_close(&f);
}

static void what_is_past_its_time_is_fetched_again_and_serves_while_it_cannot(void **state)
{
    struct fixture f;

    (void) state;
    fixture_open(&f, NULL);
    assert_refused(&f, TEE_SNP, SNP_BINDING);
    f.now += 86400 + 1; /* the list's life with us; its own goes on for one more day */
    assert_refused(&f, TEE_SNP, SNP_BINDING);
    assert_int_equal(f.service.n_asked, 3);
    f.rows[SNP_CRL].status = 500;
    assert_refused(&f, TEE_SNP, SNP_BINDING); /* still fresh */
    assert_int_equal(f.service.n_asked, 3);
    f.now += 86400; /* past its time with us: it cannot be had anew, and serves by its own dates for another hour */
    assert_refused(&f, TEE_SNP, SNP_BINDING);
    assert_int_equal(f.service.n_asked, 4);
    f.now += 2 * 3600;
    assert_refused(&f, TEE_SNP, "snp-crl-expired: ");
    assert_int_equal(f.service.n_asked, 5);
    fixture_close(&f);
}

static void failures_refuse_with_the_reason(void **state)
{
    struct fixture f;

    (void) state;
    fixture_open(&f, NULL);
    f.rows[VCEK].status = 404;
    assert_refused(&f, TEE_SNP, "the service knows no such thing (404)");
    f.rows[TCB_INFO].status = 503;
    assert_refused(&f, TEE_TDX, "TDX: collateral of this platform could not be fetched: ");
    assert_int_equal(f.service.n_asked, 6);
    assert_refused(&f, TEE_TDX, "TDX: collateral of this platform could not be fetched: "); /* within the pause nobody is asked */
    assert_int_equal(f.service.n_asked, 6);
    f.rows[TCB_INFO].status = f.rows[VCEK].status = 200;
    f.now += FETCH_PAUSE_S;
    assert_refused(&f, TEE_TDX, TDX_BINDING);
    assert_refused(&f, TEE_SNP, SNP_BINDING);
    fixture_close(&f);
}

static void what_does_not_verify_is_not_believed(void **state)
{
    AUTO(buffer) struct buffer changed = { 0 };
    struct fixture             f;

    (void) state;
    fixture_open(&f, NULL);
    buffer_append(&changed, buffer_bytes(&bodies[SNP_CRL]));
    changed.at[changed.len / 2] ^= 1;
    f.rows[SNP_CRL].body  = buffer_bytes(&changed);
    f.rows[TCB_INFO].body = bytes_of_text("{}");
    assert_refused(&f, TEE_SNP, "snp-crl");
    assert_refused(&f, TEE_TDX, "TDX collateral: ");
    fixture_close(&f);
}

/* AMD's service has the list of what a VLEK stands on, and never a VLEK: that comes with the evidence, or from the operator. */
static void a_vleks_list_is_fetched_and_its_certificate_is_the_operators(void **state)
{
    AUTO(buffer) struct buffer report = shared_vector("snp/reports/milan-v3-vlek-aws-trustee.bin"), vlek = shared_vector("snp/vek/milan-v3-vlek-aws-trustee.vlek.der"),
                               vcek = shared_vector("snp/vek/milan-v3-azure-trustee.vcek.der"), list = shared_vector("snp/crl/milan-006.der");
    struct bytes               given[1] = { buffer_bytes(&vlek) }, wrong[1] = { buffer_bytes(&vcek) };
    const struct { bool comes_along, is_kept; const char *text; int n_asked; } rows[] = {
        { true, false, "snp-report-data: ", 1 },
        { false, true, "snp-report-data: ", 1 },
        { false, false, "the report is signed by a VLEK: its certificate comes from the host, else from snp_vleks", 1 },
    };
    struct appraiser_options none = { .amd = true, .vleks = wrong, .n_vleks = 1 };
    struct appraiser        *made = NULL;
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer     text     = { 0 };
        AUTO(json) struct json_object *evidence = NULL;
        struct appraiser_options       o        = { .amd = true, .crl_required = true, .vleks = given, .n_vleks = rows[i].is_kept };
        struct fixture                 f;

        fixture_open(&f, NULL);
        f.rows[SNP_CRL] = (struct http_row){ "/vlek/v1/Milan/crl", 200, buffer_bytes(&list), NULL, NULL, 0, 0 };
        appraiser_free(f.appraiser);
        o.sources    = f.sources;
        o.snp_policy = bytes_of_text("{\"products\":[\"Milan\"],\"crl\":\"require\",\"vmpl\":[1],\"signers\":[\"VLEK\"],\"csp_id\":\"any\",\"platform_require\":[],"
                                     "\"id_key_digest\":\"any\",\"family_id\":\"any\",\"image_id\":\"any\",\"author_key_digest\":\"any\"}");
        if (!appraiser_new(&o, &f.appraiser, &err) ||
            !snp_evidence_write(buffer_bytes(&report), true, rows[i].comes_along ? buffer_bytes(&vlek) : (struct bytes){ 0 }, (struct bytes){ 0 },
                                (struct bytes){ 0 }, &text, &err) || !json_read(buffer_bytes(&text), VECTOR_LEN_MAX, &evidence, &err))
            fail_msg("%s", err.text);
        struct json_object *before = snp;

        snp = evidence;
        assert_refused(&f, TEE_SNP, rows[i].text);
        snp = before;
        assert_int_equal(f.service.n_asked, rows[i].n_asked);
        fixture_close(&f);
    }
    assert_false(appraiser_new(&none, &made, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.text, "VLEK certificate 1: it is no VLEK");
}

static void only_listed_hosts_are_asked(void **state)
{
    struct fixture                    f;
    struct collateral_sources_options o   = { .hosts = "kds.example, pccs.example:8081", .kds = "https://kds.example", .pcs = "https://other.example", .timeout_ms = 1000 };
    struct collateral_sources        *out = NULL;
    struct err                        err;

    (void) state;
    fixture_open(&f, NULL);
    collateral_sources_free(f.sources);
    appraiser_free(f.appraiser);
    f.sources = NULL;
    assert_true(collateral_sources_new(&o, &f.sources, &err));
    f.appraiser = appraiser_of(f.sources);
    assert_refused(&f, TEE_TDX, "other.example is not in collateral_hosts");
    assert_int_equal(f.service.n_asked, 0);
    o.kds = "http://kds.example";
    assert_false(collateral_sources_new(&o, &out, &err));
    assert_string_equal(err.text, "amd_kds is not of the form https://HOST[:PORT]");
    o.kds = "https://user@kds.example";
    assert_false(collateral_sources_new(&o, &out, &err));
    o.kds = "https://elsewhere.example";
    assert_false(collateral_sources_new(&o, &out, &err));
    assert_string_equal(err.text, "collateral_hosts lists neither the host of amd_kds nor that of intel_pcs");
    fixture_close(&f);
}

static void a_cache_serves_another_broker_and_the_next_start(void **state)
{
    char           cache[PATH_MAX];
    struct fixture f, again;

    (void) state;
    (void) snprintf(cache, sizeof cache, "%s/cache", folder); /* a cut path is not made */
    fixture_open(&f, cache);
    assert_refused(&f, TEE_SNP, SNP_BINDING);
    again           = f;
    again.sources   = sources_of(&f, NULL, cache);
    again.appraiser = appraiser_of(again.sources);
    assert_refused(&again, TEE_SNP, SNP_BINDING);
    assert_int_equal(f.service.n_asked, 2);
    appraiser_free(again.appraiser);
    collateral_sources_free(again.sources);
    fixture_close(&f);
}

int main(void)
{
    vectors_required("tdx/real/intel_sgx_root_ca.der");

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_fetched_once),
        cmocka_unit_test(what_is_past_its_time_is_fetched_again_and_serves_while_it_cannot),
        cmocka_unit_test(failures_refuse_with_the_reason),
        cmocka_unit_test(what_does_not_verify_is_not_believed),
        cmocka_unit_test(a_vleks_list_is_fetched_and_its_certificate_is_the_operators),
        cmocka_unit_test(only_listed_hosts_are_asked),
        cmocka_unit_test(a_cache_serves_another_broker_and_the_next_start),
    };

    return cmocka_run_group_tests(tests, make, clean);
}

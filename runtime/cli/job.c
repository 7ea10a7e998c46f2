/* cloister job: batch jobs that leave a receipt, and receipts that are checked offline. */
#include "runtime/cli/job.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "attestation/evidence/snp_evidence.h"
#include "attestation/verifier/snp_claims.h"
#include "base/file.h"
#include "base/options.h"
#include "base/text.h"
#include "guest/api/receipt.h"
#include "guest/api/tree_digest.h"
#include "keys/api/initdata.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/verb.h"
#include "runtime/cli/verify.h"

enum { FILE_LEN_MAX = 4 << 20, HOST_DATA_LEN = 32, MEASUREMENT_LEN = 48 };

struct job_verify {
    const char *ca, *crl, *root_product, *at; /* the TEE's roots */
    const char *policy; /* of the platform: TCB, VMPL, ...; NULL: what every owner wants */
    const char *nonce, *output, *image, *initdata, *measurement; /* what is expected; NULL: not compared */
    struct option_list volumes;
    bool        explain;
};

/* What a receipt is judged with. */
struct judgement {
    struct receipt      receipt;
    struct snp_evidence evidence;
    struct buffer       ark, crl;
    uint8_t             host_data[HOST_DATA_LEN], measurement[MEASUREMENT_LEN];
    struct bytes        report_data_wanted, host_data_wanted, measurement_wanted;
    struct snp_policy   policy;
    struct snp_policy_document *document; /* NULL, or what `policy` borrows from */
    struct snp_trust   *trust; /* outlives what was found with it */
    struct snp_crl     *list;
};

static void auto_judgement(struct judgement *j)
{
    receipt_free(&j->receipt);
    snp_evidence_free(&j->evidence);
    buffer_free(&j->ark);
    buffer_free(&j->crl);
    snp_policy_document_free(j->document);
    auto_snp_crl(&j->list);
    auto_snp_trust(&j->trust);
}

static FALLIBLE hex_of(struct json_object *statement, const char *name, struct buffer *out, struct err *err)
{
    const char *text;

    return json_get_text(statement, name, &text, err) && (hex_read(bytes_of_text(text), out, err) || context(err, name));
}

/* Without a document: a guest that runs at VMPL 0, does not let itself be debugged, and has no migration agent. */
static FALLIBLE load_policy(const struct job_verify *o, struct judgement *j, struct err *err)
{
    AUTO(buffer) struct buffer text   = { 0 };
    struct snp_policy          strict = snp_policy_strict();

    if (o->policy) {
        if (!file_read(o->policy, FILE_LEN_MAX, &text, err) || !snp_policy_read(buffer_bytes(&text), &strict, &j->document, err))
            return context(err, "--policy");
        j->policy = *snp_policy_of(j->document);
        return true;
    }
    j->policy = snp_policy_bare();
    for (size_t i = 1; i < sizeof j->policy.vmpls / sizeof *j->policy.vmpls; i++)
        j->policy.vmpls[i] = false;
    if (o->crl)
        j->policy.crl = CRL_REQUIRED;
    return true;
}

/* A digest that is longer than the field is cut, a shorter one has zeros behind it. [initdata: HOST_DATA] */
static FALLIBLE bind_fields(const struct job_verify *o, struct judgement *j, struct err *err)
{
    AUTO(buffer) struct buffer digest = { 0 };

    if (!hex_of(j->receipt.statement, "initdata", &digest, err))
        return false;
    memcpy(j->host_data, digest.at, digest.len < HOST_DATA_LEN ? digest.len : HOST_DATA_LEN);
    j->report_data_wanted = BYTES_OF(j->receipt.report_data);
    j->host_data_wanted   = BYTES_OF(j->host_data);
    j->policy.report_data = (struct field_rule){ FIELD_LISTED, &j->report_data_wanted, 1 };
    j->policy.host_data   = (struct field_rule){ FIELD_LISTED, &j->host_data_wanted, 1 };
    if (!o->measurement)
        return true;
    if (!hex_read_exact(o->measurement, j->measurement, sizeof j->measurement, err))
        return context(err, "--measurement");
    j->measurement_wanted = BYTES_OF(j->measurement);
    j->policy.measurement = (struct field_rule){ FIELD_LISTED, &j->measurement_wanted, 1 };
    return true;
}

static FALLIBLE load_roots(const struct job_verify *o, struct judgement *j, struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 };

    if (!o->ca)
        return fail_with(err, ERR_CONFIG, "--ca DIR is wanted: it holds ark.der, the root that you trust");
    buffer_printf(&path, "%s/ark.der", o->ca);
    if (!file_read(buffer_text(&path), FILE_LEN_MAX, &j->ark, err) || (o->crl && !file_read(o->crl, FILE_LEN_MAX, &j->crl, err)))
        return false;
    verify_certificate_pick(&j->ark, VERIFY_LAST);
    return true;
}

/* ---- the statement against what is expected ---- */

static bool rejected(struct err *why, const char *what)
{
    return fail_with(why, ERR_UNTRUSTED, "%s is not what was expected", what);
}

static FALLIBLE check_output(const struct job_verify *o, struct json_object *statement, struct err *err)
{
    AUTO(buffer) struct buffer content = { 0 }, said = { 0 };
    struct json_object        *stream  = NULL;
    uint8_t                    digest[SHA256_LEN];

    if (!file_read(o->output, SIZE_MAX >> 1, &content, err) || !json_get(statement, "stdout", json_type_object, &stream, err) ||
        !hex_of(stream, "sha256", &said, err))
        return false;
    sha256_of(buffer_bytes(&content), digest);
    return bytes_equal(buffer_bytes(&said), BYTES_OF(digest)) || rejected(err, "the output");
}

static FALLIBLE check_initdata(const struct job_verify *o, struct json_object *statement, struct err *err)
{
    AUTO(buffer) struct buffer     text = { 0 }, said = { 0 };
    AUTO(initdata) struct initdata read = { 0 };

    return file_read(o->initdata, KBS_INITDATA_TEXT_MAX, &text, err) && initdata_read(buffer_bytes(&text), &read, err) &&
           hex_of(statement, "initdata", &said, err) &&
           (bytes_equal(buffer_bytes(&said), (struct bytes){ read.digest, read.digest_len }) || rejected(err, "the initdata"));
}

/* NAME=DIR: what is in DIR must be what the guest found in its volume. */
static FALLIBLE check_volume(const char *option, struct json_object *statement, struct err *err)
{
    AUTO(buffer) struct buffer said    = { 0 };
    const char                *folder  = strchr(option, '=');
    char                       name[64];
    struct json_object        *volumes = NULL, *volume = NULL;
    struct tree_digest         found;

    if (!folder || snprintf(name, sizeof name, "%.*s", (int) (folder - option), option) >= (int) sizeof name)
        return fail_with(err, ERR_CONFIG, "--volume %.80s: NAME=DIR is wanted", option);
    AUTO(fd) int fd = open(folder + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_os(err, "--volume %.120s", folder + 1);
    if (!tree_digest_of(fd, &found, err))
        return context(err, "--volume");
    if (!json_object_object_get_ex(statement, "volumes", &volumes) || !json_object_object_get_ex(volumes, name, &volume))
        return fail_with(err, ERR_UNTRUSTED, "the receipt says nothing of a volume %.63s", name);
    if (!hex_of(volume, "sha256", &said, err))
        return false;
    return bytes_equal(buffer_bytes(&said), BYTES_OF(found.sha256)) ||
           fail_with(err, ERR_UNTRUSTED, "what is in volume %.63s is not what was expected", name);
}

static FALLIBLE check_statement(const struct job_verify *o, struct json_object *statement, struct err *err)
{
    const char *nonce, *image;

    if (!json_get_text(statement, "nonce", &nonce, err) || !json_get_text(statement, "image", &image, err))
        return false;
    if (o->nonce && strcmp(o->nonce, nonce) != 0)
        return rejected(err, "the nonce");
    if (o->image && strcmp(o->image, image) != 0)
        return rejected(err, "the image");
    for (size_t i = 0; i < o->volumes.n; i++)
        if (!check_volume(o->volumes.at[i], statement, err))
            return false;
    return (!o->output || check_output(o, statement, err)) && (!o->initdata || check_initdata(o, statement, err));
}

/* ---- the answer ---- */

static int reject(const struct err *why)
{
    AUTO(json) struct json_object *answer = json_object_new_object();

    json_add_text(answer, "verdict", "rejected");
    json_add_text(answer, "reason", "receipt");
    json_add_text(answer, "detail", why->text);
    json_add(answer, "claims", json_object_new_object());
    puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    return VERIFY_REJECTED;
}

static int unusable(const struct err *why)
{
    fprintf(stderr, "cloister: job verify: %s\n", why->text);
    return VERIFY_UNUSABLE;
}

static bool judge_evidence(const struct job_verify *o, struct judgement *j, int64_t now, struct snp_result *result)
{
    const struct verdict_listener    *listener = verify_explainer(o->explain);
    struct appraisal                  a    = appraisal_start(&result->verdict, listener);
    enum verdict_reason               why  = REASON_INTERNAL;
    struct err                        err;
    struct bytes                      vek  = buffer_bytes(&j->evidence.vek), ask = buffer_bytes(&j->evidence.ask);
    struct snp_root root = { .name = "caller", .product = snp_root_product(buffer_bytes(&j->ark)), .ark = buffer_bytes(&j->ark) };

    if (o->root_product)
        root.product = snp_product_by_name(o->root_product);
    if (!snp_trust_new(&root, 1, &j->trust, &why, &err))
        return check(&a, false, why, "%s", err.text);
    if (o->crl && !snp_crl_new(j->trust, buffer_bytes(&j->crl), &j->list, &a))
        return false;
    const struct snp_crl *const    crls[]  = { j->list };
    const struct snp_certificates  given   = { .vcek = vek, .vlek = vek, .ask = ask, .asvk = ask };
    const struct snp_request       request = { .report = BYTES_OF(j->evidence.report), .certificates = &given, .trust = j->trust, .crls = crls,
                                               .n_crls = j->list != NULL, .policy = &j->policy, .now = now, .listener = listener };
    return snp_verify(&request, result);
}

static int judge(const struct job_verify *o, const char *path, struct judgement *j)
{
    AUTO(buffer) struct buffer         text   = { 0 };
    AUTO(snp_result) struct snp_result result = { 0 };
    int64_t                            now;
    struct err                         err;

    if (!file_read(path, RECEIPT_LEN_MAX, &text, &err) || !load_roots(o, j, &err) || !load_policy(o, j, &err) || !verify_time(o->at, &now, &err))
        return unusable(&err);
    if (!receipt_read(buffer_bytes(&text), &j->receipt, &err))
        return reject(&err);
    if (strcmp(j->receipt.tee, "snp") != 0) {
        (void) fail_with(&err, ERR_UNSUPPORTED, "receipts of %s cannot be checked yet; of snp they can", j->receipt.tee); /* told next */
        return unusable(&err);
    }
    if (!bind_fields(o, j, &err))
        return err.kind == ERR_MALFORMED && o->measurement ? unusable(&err) : reject(&err);
    if (!snp_evidence_read(j->receipt.evidence, &j->evidence, &err))
        return reject(&err);
    bool genuine = judge_evidence(o, j, now, &result);
    if (genuine && !check_statement(o, j->receipt.statement, &err))
        return err.kind == ERR_UNTRUSTED ? reject(&err) : unusable(&err);
    struct json_object *claims = genuine ? snp_claims(&result) : NULL;
    if (claims)
        json_add(claims, "statement", json_object_get(j->receipt.statement));
    return verify_answer(&result.verdict, genuine ? snp_status(&result) : NULL, claims);
}

int job_verify(int argc, char **argv)
{
    struct job_verify       o      = { 0 };
    const struct option_row rows[] = {
        { "ca", OPTION_TEXT, &o.ca, "DIR", "holds ark.der, the trust root", 0, 0 },
        { "root-product", OPTION_TEXT, &o.root_product, "NAME", "the product that the root stands for, when its name does not say", 0, 0 },
        { "crl", OPTION_TEXT, &o.crl, "FILE", "the root's revocation list; then it must be fresh", 0, 0 },
        { "policy", OPTION_TEXT, &o.policy, "FILE", "JSON: TCB, VMPL and the like (docs/attestation.md); its report_data, host_data are the receipt's", 0, 0 },
        { "at", OPTION_TEXT, &o.at, "TIME", "judge validity at this time instead of now (2026-11-23T12:00:00Z)", 0, 0 },
        { "measurement", OPTION_TEXT, &o.measurement, "HEX", "the guest that you trust: cloister measure", 0, 0 },
        { "initdata", OPTION_TEXT, &o.initdata, "FILE", "the initdata that it must have run under: policy, argv, environment", 0, 0 },
        { "image", OPTION_TEXT, &o.image, "sha256:...", "the image that it must have run", 0, 0 },
        { "nonce", OPTION_TEXT, &o.nonce, "HEX", "that was given to `cloister job run --nonce`", 0, 0 },
        { "output", OPTION_TEXT, &o.output, "FILE", "the standard output that it is about", 0, 0 },
        { "volume", OPTION_LIST, &o.volumes, "NAME=DIR", "the files that the job left in this volume, as you opened it: cryptsetup", 0, 0 },
        { "explain", OPTION_FLAG, &o.explain, NULL, "print each check of the evidence, on standard error", 0, 0 },
    };
    const struct option_table table = {
        "cloister job verify", "--ca DIR [OPTION]... RECEIPT",
        "Checks a receipt offline: the guest's signature, that genuine evidence is about its key and its initdata, and each\n"
        "expectation that is given. Prints one JSON object. Exit code 0: accepted, 1: rejected, 2: unusable arguments.",
        rows, sizeof rows / sizeof *rows, false,
        "Without --policy: VMPL 0, no debugging, no migration agent, not Milan.\n"
        "Without --measurement and --initdata (or --image) it is only known that some genuine guest said so."
    };
    AUTO(judgement) struct judgement j = { 0 };
    enum options_outcome             outcome;
    char                           **operands;
    size_t                           n;
    struct err                       err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err))
        return unusable(&err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return VERIFY_ACCEPTED;
    if (n != 1) {
        (void) fail_with(&err, ERR_CONFIG, "one receipt is wanted; see cloister job verify --help"); /* told next */
        return unusable(&err);
    }
    return judge(&o, operands[0], &j);
}

int cmd_job(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "run") == 0)
        return job_run(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "verify") == 0)
        return job_verify(argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        printf("Usage: cloister job run [OPTION]... IMAGE [ARG...]\n"
               "       cloister job run -f JOB.yaml [OPTION]...\n"
               "       cloister job verify --ca DIR [OPTION]... RECEIPT\n"
               "Runs a batch job that leaves a receipt; checks a receipt offline. Each has its own --help.\n");
        return 0;
    }
    return verb_refuse("job", argc > 1 ? argv[1] : NULL, "run or verify; see cloister job --help");
}

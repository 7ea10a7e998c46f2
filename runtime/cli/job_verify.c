/* cloister job verify: a receipt, checked offline by who has the TEE's roots and no trust in the host. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/options.h"
#include "base/text.h"
#include "guest/api/receipt.h"
#include "guest/api/tree_digest.h"
#include "keys/api/initdata.h"
#include "runtime/cli/job.h"
#include "runtime/cli/job_trust.h"
#include "runtime/cli/verify.h"

enum { LOG_LEN_MAX = 256 << 20 /* bytes: a receipt may be the last line of a container's log */ };

struct job_verify {
    struct job_roots   roots;
    const char        *at;
    const char        *nonce, *output, *image, *initdata; /* what is expected; NULL: not compared */
    struct option_list volumes;
    bool               explain;
};

static FALLIBLE hex_of(struct json_object *statement, const char *name, struct buffer *out, struct err *err)
{
    const char *text;

    return json_get_text(statement, name, &text, err) && (hex_read(bytes_of_text(text), out, err) || context(err, name));
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

/* The digest of the initdata is in the statement and in the evidence: it is one and the same guest that speaks in both. */
static bool judge_evidence(const struct job_verify *o, const struct receipt *receipt, struct job_trust *trust,
                           const struct evidence_envelope *envelope, struct bytes initdata, struct envelope_result *result)
{
    struct envelope_question q = { .report_data = BYTES_OF(receipt->report_data), .has_init_data = true, .init_data = initdata,
                                   .now = trust->now, .listener = verify_explainer(o->explain) };

    job_trust_ask(trust, &q);
    return envelope_verify(envelope, &q, result);
}

static int accept(const struct receipt *receipt, const struct envelope_result *result)
{
    struct json_object *claims = envelope_claims(result);

    json_add(claims, "statement", json_object_get(receipt->statement));
    return verify_answer(&result->verdict, job_trust_status(result), claims);
}

static int judge(const struct job_verify *o, struct bytes text)
{
    AUTO(receipt) struct receipt                     receipt  = { 0 };
    AUTO(evidence_envelope) struct evidence_envelope envelope = { 0 };
    AUTO(job_trust) struct job_trust                 trust    = { 0 };
    AUTO(envelope_result) struct envelope_result     result   = { 0 };
    AUTO(buffer) struct buffer                       initdata = { 0 };
    enum envelope_kind                               kind;
    struct err                                       err;
    struct appraisal                                 a = appraisal_start(&result.verdict, verify_explainer(o->explain));

    if (!receipt_read(text, &receipt, &err))
        return reject(&err);
    if (!envelope_kind_by_name(receipt.tee, &kind)) {
        (void) fail_with(&err, ERR_UNSUPPORTED, "a receipt of the TEE \"%s\" is not known", receipt.tee); /* told next */
        return unusable(&err);
    }
    if (!hex_of(receipt.statement, "initdata", &initdata, &err) || !evidence_envelope_read(kind, receipt.evidence, &envelope, &err))
        return reject(&err);
    if (!verify_time(o->at, &trust.now, &err) || !job_trust_load(&o->roots, &envelope, &trust, &a, &err))
        return unusable(&err);
    if (a.failed || !judge_evidence(o, &receipt, &trust, &envelope, buffer_bytes(&initdata), &result))
        return verify_answer(&result.verdict, NULL, NULL);
    if (!check_statement(o, receipt.statement, &err))
        return err.kind == ERR_UNTRUSTED ? reject(&err) : unusable(&err);
    return accept(&receipt, &result);
}

int job_verify(int argc, char **argv)
{
    struct job_verify       o      = { 0 };
    const struct option_row rows[] = {
        { "ca", OPTION_TEXT, &o.roots.ca, "DIR", "SNP: holds ark.der, the trust root", 0, 0 },
        { "root-product", OPTION_TEXT, &o.roots.root_product, "NAME", "SNP: the product that the root stands for, when its name does not say", 0, 0 },
        { "crl", OPTION_TEXT, &o.roots.crl, "FILE", "SNP: the root's revocation list; then it must be fresh", 0, 0 },
        { "root-ca", OPTION_TEXT, &o.roots.root_ca, "FILE", "TDX: the trust root, PEM or DER: Intel SGX Root CA", 0, 0 },
        { "collateral", OPTION_TEXT, &o.roots.collateral, "FILE", "TDX: a bundle of Intel's collateral, as the broker takes it", 0, 0 },
        { "ak", OPTION_LIST, &o.roots.aks, "FILE", "TPM: public part of an attestation key that you know, PEM or DER", 0, 0 },
        { "policy", OPTION_TEXT, &o.roots.policy, "FILE", "JSON: TCB, VMPL, PCRs and the like (docs/attestation.md); report data and initdata are the receipt's", 0, 0 },
        { "at", OPTION_TEXT, &o.at, "TIME", "judge validity at this time instead of now (2026-11-23T12:00:00Z)", 0, 0 },
        { "measurement", OPTION_TEXT, &o.roots.measurement, "HEX", "the guest that you trust: cloister measure; of TDX it is MRTD, RTMRs belong into --policy", 0, 0 },
        { "initdata", OPTION_TEXT, &o.initdata, "FILE", "the initdata that it must have run under: policy, argv, environment", 0, 0 },
        { "image", OPTION_TEXT, &o.image, "sha256:...", "the image that it must have run", 0, 0 },
        { "nonce", OPTION_TEXT, &o.nonce, "HEX", "that was given to `cloister job run --nonce`", 0, 0 },
        { "output", OPTION_TEXT, &o.output, "FILE", "the standard output that it is about", 0, 0 },
        { "volume", OPTION_LIST, &o.volumes, "NAME=DIR", "the files that the job left in this volume, as you opened it: cryptsetup", 0, 0 },
        { "explain", OPTION_FLAG, &o.explain, NULL, "print each check of the evidence, on standard error", 0, 0 },
    };
    const struct option_table table = {
        "cloister job verify", "(--ca DIR | --root-ca FILE --collateral FILE | --ak FILE) [OPTION]... RECEIPT",
        "Checks a receipt offline: the guest's signature, that genuine evidence is about its key and its initdata, and each\n"
        "expectation that is given. Prints one JSON object. Exit code 0: accepted, 1: rejected, 2: unusable arguments.",
        rows, sizeof rows / sizeof *rows, false,
        "Without --policy: no debugging, no migration; SNP: VMPL 0, not Milan; TDX: TCB status UpToDate.\n"
        "Without --measurement and --initdata (or --image) it is only known that some genuine guest said so."
    };
    AUTO(buffer) struct buffer text = { 0 };
    enum options_outcome       outcome;
    char                     **operands;
    size_t                     n;
    struct err                 err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err))
        return unusable(&err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return VERIFY_ACCEPTED;
    if (n != 1) {
        (void) fail_with(&err, ERR_CONFIG, "one receipt is wanted; see cloister job verify --help"); /* told next */
        return unusable(&err);
    }
    return file_read(operands[0], LOG_LEN_MAX, &text, &err) ? judge(&o, receipt_find(buffer_bytes(&text))) : unusable(&err);
}

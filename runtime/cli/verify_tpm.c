/* `cloister verify tpm`: a TPM 2.0 quote under an attestation key that the caller names. */
#include <stdlib.h>

#include "attestation/verifier/event_claims.h"
#include "base/file.h"
#include "base/options.h"
#include "base/text.h"
#include "runtime/cli/verify.h"

enum { FILE_LEN_MAX = 4 << 20 };

struct inputs {
    const char       *quote_path, *signature_path, *ak_path, *event_log_path, *pcrs_path, *nonce_hex, *policy_path;
    bool              explain;
    struct buffer     quote, signature, ak_text, event_log, pcrs_text, nonce, policy_text;
    struct tpm_key    ak;
    struct tpm_pcrs   pcrs;
    struct tpm_policy policy;
};

static void inputs_free(struct inputs *in)
{
    struct buffer *all[] = { &in->quote, &in->signature, &in->ak_text, &in->event_log, &in->pcrs_text, &in->nonce,
                             &in->policy_text };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buffer_free(all[i]);
    tpm_key_free(&in->ak);
    tpm_policy_free(&in->policy);
}
static inline void auto_inputs(struct inputs *in) { inputs_free(in); }

static FALLIBLE pcr_set(struct tpm_pcrs *pcrs, const struct tpm_hash *hash, uint64_t pcr, struct json_object *value,
                        struct err *err)
{
    AUTO(buffer) struct buffer raw = { 0 };

    return (json_object_is_type(value, json_type_string) &&
            hex_read(bytes_of_text(json_object_get_string(value)), &raw, err) && pcr < TPM_PCRS &&
            tpm_pcrs_set(pcrs, hash->id, (unsigned) pcr, buffer_bytes(&raw))) ||
           fail_with(err, ERR_CONFIG, "PCR %llu: no %s value in hex", (unsigned long long) pcr, hash->name);
}

/* {"sha256":{"0":"hex",...},...}, or the list of 24 SHA-256 values that CoCo's evidence carries. */
static FALLIBLE pcrs_read(struct bytes text, struct tpm_pcrs *out, struct err *err)
{
    AUTO(json) struct json_object *from = NULL;

    if (!json_read(text, FILE_LEN_MAX, &from, err))
        return false;
    if (json_object_is_type(from, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(from); i++)
            if (!pcr_set(out, tpm_hash_by_id(TPM_SHA256), i, json_object_array_get_idx(from, i), err))
                return false;
        return true;
    }
    if (!json_object_is_type(from, json_type_object))
        return fail_with(err, ERR_CONFIG, "an object of banks, or a list of 24 values, is wanted");
    json_object_object_foreach(from, name, bank) {
        const struct tpm_hash *hash = tpm_hash_by_name(name);

        if (!hash || !json_object_is_type(bank, json_type_object))
            return fail_with(err, ERR_CONFIG, "no such bank");
        json_object_object_foreach(bank, pcr, value) {
            if (!pcr_set(out, hash, strtoul(pcr, NULL, 10), value, err))
                return false;
        }
    }
    return true;
}

static FALLIBLE inputs_load(struct inputs *in, struct err *err)
{
    const struct { const char *option, *path; struct buffer *into; bool is_needed; } files[] = {
        { "--quote", in->quote_path, &in->quote, true },
        { "--signature", in->signature_path, &in->signature, true },
        { "--ak", in->ak_path, &in->ak_text, true },
        { "--event-log", in->event_log_path, &in->event_log, false },
        { "--pcrs", in->pcrs_path, &in->pcrs_text, false },
        { "--policy", in->policy_path, &in->policy_text, false },
    };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (!files[i].path && files[i].is_needed)
            return fail_with(err, ERR_CONFIG, "%s is missing (see --help)", files[i].option);
        if (files[i].path && !file_read(files[i].path, FILE_LEN_MAX, files[i].into, err))
            return context(err, files[i].option);
    }
    if (in->nonce_hex && !hex_read(bytes_of_text(in->nonce_hex), &in->nonce, err))
        return context(err, "--nonce");
    if (in->pcrs_path && !pcrs_read(buffer_bytes(&in->pcrs_text), &in->pcrs, err))
        return context(err, "--pcrs");
    if (in->policy_path && !tpm_policy_read(buffer_bytes(&in->policy_text), &in->policy, err))
        return context(err, "--policy");
    return tpm_key_read(buffer_bytes(&in->ak_text), &in->ak, err) || context(err, "--ak");
}

static int answer(const struct inputs *in)
{
    const struct tpm_evidence evidence = {
        .quote = buffer_bytes(&in->quote), .signature = buffer_bytes(&in->signature),
        .event_log = buffer_bytes(&in->event_log), .has_event_log = in->event_log_path,
        .pcrs = in->pcrs_path ? &in->pcrs : NULL,
    };
    const struct tpm_question question = { &in->policy, in->nonce_hex, buffer_bytes(&in->nonce),
                                           verify_explainer(in->explain) };
    struct tpm_result         result;

    (void) tpm_verify(&evidence, &in->ak, &question, &result); /* the verdict says it */
    return verify_answer(&result.verdict, NULL, tpm_claims(&result));
}

int verify_tpm(int argc, char **argv)
{
    AUTO(inputs) struct inputs in     = { 0 };
    const struct option_row    rows[] = {
        { "quote", OPTION_TEXT, &in.quote_path, "FILE", "TPMS_ATTEST, as the TPM signed it", 0, 0 },
        { "signature", OPTION_TEXT, &in.signature_path, "FILE", "TPMT_SIGNATURE, or a bare RSASSA-SHA256 signature", 0, 0 },
        { "ak", OPTION_TEXT, &in.ak_path, "FILE", "attestation key: TPM2B_PUBLIC, TPMT_PUBLIC, or a public key in PEM or "
          "DER, for whose attributes you vouch", 0, 0 },
        { "event-log", OPTION_TEXT, &in.event_log_path, "FILE", "firmware's log: it must explain every quoted PCR", 0, 0 },
        { "pcrs", OPTION_TEXT, &in.pcrs_path, "FILE", "JSON: PCR values that the quote must confirm", 0, 0 },
        { "nonce", OPTION_TEXT, &in.nonce_hex, "HEX", "what the qualifying data must be", 0, 0 },
        { "policy", OPTION_TEXT, &in.policy_path, "FILE", "JSON: what to accept (docs/attestation.md)", 0, 0 },
        { "explain", OPTION_FLAG, &in.explain, NULL, "print each check and what it compared, on standard error", 0, 0 },
    };
    const struct option_table table = {
        "cloister verify tpm", "--quote FILE --signature FILE --ak FILE [OPTION]...",
        "Verifies a TPM 2.0 quote and prints one JSON object. Exit code 0: accepted, 1: rejected, 2: unusable "
        "arguments. Whose TPM the key is in is for you to know: a vTPM that the host runs proves nothing about a guest.",
        rows, sizeof rows / sizeof rows[0], false, NULL };
    enum options_outcome outcome    = OPTIONS_RUN;
    char               **operands   = NULL;
    size_t               n_operands = 0;
    struct err           err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n_operands, &err) ||
        (n_operands > 0 && !fail_with(&err, ERR_CONFIG, "unexpected \"%s\" (see --help)", operands[0])))
        return verify_unusable("tpm", &err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (!inputs_load(&in, &err))
        return verify_unusable("tpm", &err);
    return answer(&in);
}

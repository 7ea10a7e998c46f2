/* `cloister verify tdx`: a TDX quote against Intel's collateral, all given as files. */
#include <stdio.h>

#include "attestation/verifier/tdx_claims.h"
#include "base/file.h"
#include "base/options.h"
#include "runtime/cli/verify.h"
#include "runtime/cli/verify_bundle.h"

enum { FILE_LEN_MAX = 4 << 20 };

struct inputs {
    const char       *quote_path, *tcb_info_path, *qe_identity_path, *issuer_chain_path, *root_ca_path, *root_crl_path,
        *pck_crl_path, *collateral_path, *event_log_path, *at, *policy_path;
    bool              explain;
    struct buffer     quote, tcb_info, qe_identity, issuer_chain, root_ca, root_crl, pck_crl, event_log, policy_text;
    struct tdx_policy policy;
    int64_t           now;
};

static void inputs_free(struct inputs *in)
{
    struct buffer *all[] = { &in->quote, &in->tcb_info, &in->qe_identity, &in->issuer_chain, &in->root_ca,
                             &in->root_crl, &in->pck_crl, &in->event_log, &in->policy_text };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buffer_free(all[i]);
    tdx_policy_free(&in->policy);
}
static inline void auto_inputs(struct inputs *in) { inputs_free(in); }

static FALLIBLE bundle_load(struct inputs *in, struct err *err)
{
    const struct verify_documents missing = {
        in->tcb_info_path ? NULL : &in->tcb_info, in->qe_identity_path ? NULL : &in->qe_identity,
        in->issuer_chain_path ? NULL : &in->issuer_chain, in->root_crl_path ? NULL : &in->root_crl,
        in->pck_crl_path ? NULL : &in->pck_crl,
    };

    return verify_bundle_load(in->collateral_path, buffer_bytes(&in->quote), &missing, err);
}

static FALLIBLE inputs_load(struct inputs *in, struct err *err)
{
    const struct { const char *option, *path; struct buffer *into; bool is_bundled; } files[] = {
        { "--quote", in->quote_path, &in->quote, false },
        { "--tcb-info", in->tcb_info_path, &in->tcb_info, true },
        { "--qe-identity", in->qe_identity_path, &in->qe_identity, true },
        { "--issuer-chain", in->issuer_chain_path, &in->issuer_chain, true },
        { "--root-ca", in->root_ca_path, &in->root_ca, false },
        { "--root-crl", in->root_crl_path, &in->root_crl, true },
        { "--pck-crl", in->pck_crl_path, &in->pck_crl, true },
    };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (!files[i].path && files[i].is_bundled && in->collateral_path)
            continue;
        if (!files[i].path)
            return fail_with(err, ERR_CONFIG, "%s is missing (see --help)", files[i].option);
        if (!file_read(files[i].path, FILE_LEN_MAX, files[i].into, err))
            return context(err, files[i].option);
    }
    if (in->collateral_path && !bundle_load(in, err))
        return false;
    verify_chain_normalize(&in->issuer_chain);
    verify_list_normalize(&in->root_crl);
    verify_list_normalize(&in->pck_crl);
    if (in->event_log_path && !file_read(in->event_log_path, FILE_LEN_MAX, &in->event_log, err))
        return context(err, "--event-log");
    tdx_policy_default(&in->policy);
    if (in->policy_path && (!file_read(in->policy_path, TDX_POLICY_LEN_MAX, &in->policy_text, err) ||
                            !tdx_policy_read(buffer_bytes(&in->policy_text), &in->policy, err)))
        return context(err, "--policy");
    return verify_time(in->at, &in->now, err);
}

static int answer(const struct inputs *in)
{
    const struct tdx_files files = {
        buffer_bytes(&in->tcb_info), buffer_bytes(&in->qe_identity), buffer_bytes(&in->issuer_chain),
        buffer_bytes(&in->root_ca), buffer_bytes(&in->root_crl), buffer_bytes(&in->pck_crl),
    };
    const struct tdx_question question = { &in->policy, in->now, verify_explainer(in->explain), in->event_log_path,
                                           buffer_bytes(&in->event_log) };
    struct tdx_result         result;

    (void) tdx_verify(buffer_bytes(&in->quote), &files, &question, &result); /* the verdict says it */
    return verify_answer(&result.verdict, result.has_tcb ? tcb_status_name(result.tcb.status) : NULL,
                         tdx_claims(&result));
}

int verify_tdx(int argc, char **argv)
{
    AUTO(inputs) struct inputs in     = { 0 };
    const struct option_row    rows[] = {
        { "quote", OPTION_TEXT, &in.quote_path, "FILE", "the quote, version 4 or 5", 0, 0 },
        { "tcb-info", OPTION_TEXT, &in.tcb_info_path, "FILE", "Intel's TDX TCB info for the platform, signature "
          "included", 0, 0 },
        { "qe-identity", OPTION_TEXT, &in.qe_identity_path, "FILE", "Intel's TD QE identity, signature included", 0, 0 },
        { "issuer-chain", OPTION_TEXT, &in.issuer_chain_path, "FILE", "PEM, or percent-encoded as in the answer's "
          "header: TCB signing certificate, root", 0, 0 },
        { "root-ca", OPTION_TEXT, &in.root_ca_path, "FILE", "the trust root, PEM or DER: Intel SGX Root CA", 0, 0 },
        { "root-crl", OPTION_TEXT, &in.root_crl_path, "FILE", "the root's revocation list: DER, PEM or hex", 0, 0 },
        { "pck-crl", OPTION_TEXT, &in.pck_crl_path, "FILE", "the PCK authority's revocation list, likewise", 0, 0 },
        { "collateral", OPTION_TEXT, &in.collateral_path, "FILE", "a bundle, as the broker takes it, that has all of these but the root", 0, 0 },
        { "event-log", OPTION_TEXT, &in.event_log_path, "FILE", "the guest's CCEL: it must explain all four RTMRs", 0, 0 },
        { "at", OPTION_TEXT, &in.at, "TIME", "judge validity at this time instead of now (2026-11-23T12:00:00Z)", 0, 0 },
        { "policy", OPTION_TEXT, &in.policy_path, "FILE", "JSON: what to accept (docs/attestation.md)", 0, 0 },
        { "explain", OPTION_FLAG, &in.explain, NULL, "print each check and what it compared, on standard error", 0, 0 },
    };
    const struct option_table table = {
        "cloister verify tdx",
        "--quote FILE --root-ca FILE (--collateral FILE | --tcb-info FILE --qe-identity FILE --issuer-chain FILE --root-crl FILE "
        "--pck-crl FILE) [OPTION]...",
        "Verifies an Intel TDX quote and prints one JSON object. Exit code 0: accepted, 1: rejected, 2: unusable "
        "arguments. Without --policy: TCB status UpToDate only, SEPT_VE_DISABLE set, no debugging, migration or "
        "service TD.", rows, sizeof rows / sizeof rows[0], false, NULL };
    enum options_outcome outcome    = OPTIONS_RUN;
    char               **operands   = NULL;
    size_t               n_operands = 0;
    struct err           err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n_operands, &err) ||
        (n_operands > 0 && !fail_with(&err, ERR_CONFIG, "unexpected \"%s\" (see --help)", operands[0])))
        return verify_unusable("tdx", &err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (!inputs_load(&in, &err))
        return verify_unusable("tdx", &err);
    return answer(&in);
}

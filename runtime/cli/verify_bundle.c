#include "runtime/cli/verify_bundle.h"

#include "attestation/collateral/bundle.h"
#include "attestation/collateral/pcs.h"
#include "attestation/verifier/tdx_collateral.h"
#include "base/file.h"
#include "runtime/cli/verify.h"

/* The answer to one URL. The TCB info comes with the chain of who signed it. */
struct place {
    struct buffer  url;
    struct buffer *body, *issuer_chain; /* or NULL */
};

static FALLIBLE place_fill(const struct bundle *bundle, struct place *place, struct err *err)
{
    const struct answer *a = NULL;

    if (!place->body && !place->issuer_chain)
        return true;
    a = bundle_find(bundle, buffer_text(&place->url));
    if (!a)
        return fail_with(err, ERR_CONFIG, "%.150s is not in it", buffer_text(&place->url));
    if (place->body)
        buffer_append(place->body, buffer_bytes(&a->body));
    if (place->issuer_chain)
        buffer_append(place->issuer_chain, buffer_bytes(&a->issuer_chain));
    return true;
}

static FALLIBLE take_documents(const struct bundle *bundle, struct bytes quote, const struct verify_documents *into, struct err *err)
{
    struct place places[] = { { .body = into->tcb_info, .issuer_chain = into->issuer_chain }, { .body = into->qe_identity },
                              { .body = into->pck_crl }, { .body = into->root_crl } };
    uint8_t      fmspc[PCS_FMSPC_LEN];
    bool         of_platform_ca, found = true;

    if (!tdx_platform_hint(quote, fmspc, &of_platform_ca, err))
        return context(err, "the quote");
    pcs_tcb_info_url(PCS_BASE_URL, fmspc, PCS_UPDATE_STANDARD, &places[0].url);
    pcs_qe_identity_url(PCS_BASE_URL, PCS_UPDATE_STANDARD, &places[1].url);
    pcs_pck_crl_url(PCS_BASE_URL, of_platform_ca, &places[2].url);
    buffer_append_text(&places[3].url, PCS_ROOT_CRL_URL);
    for (size_t i = 0; i < sizeof places / sizeof *places && found; i++)
        found = place_fill(bundle, &places[i], err);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        buffer_free(&places[i].url);
    return found;
}

FALLIBLE verify_bundle_load(const char *path, struct bytes quote, const struct verify_documents *into, struct err *err)
{
    AUTO(buffer) struct buffer  text   = { 0 };
    AUTO(bundle) struct bundle *bundle = NULL;

    if (!file_read(path, BUNDLE_LEN_MAX, &text, err) || !bundle_read(buffer_bytes(&text), &bundle, err) ||
        !take_documents(bundle, quote, into, err))
        return context(err, "--collateral");
    if (into->issuer_chain)
        verify_chain_normalize(into->issuer_chain);
    if (into->root_crl)
        verify_list_normalize(into->root_crl);
    if (into->pck_crl)
        verify_list_normalize(into->pck_crl);
    return true;
}

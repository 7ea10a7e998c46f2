#include "attestation/verifier/tdx_collateral.h"

#include <stdlib.h>
#include <string.h>

#include "attestation/evidence/tdx_quote.h"
#include "attestation/verifier/instant.h"
#include "attestation/verifier/signed_json.h"

static const char root_name[]      = "Intel SGX Root CA";
static const char platform_name[]  = "Intel SGX PCK Platform CA";
static const char processor_name[] = "Intel SGX PCK Processor CA";
static const char leaf_name[]      = "Intel SGX PCK Certificate";
static const char signer_name[]    = "Intel SGX TCB Signing";

enum { SIGNER_CHAIN = 2, PCK_CHAIN = 3 };

void tdx_collateral_free(struct tdx_collateral *c)
{
    if (!c)
        return;
    buffer_free(&c->root_der);
    buffer_free(&c->root_crl_der);
    buffer_free(&c->pck_crl_der);
    pem_certificates_free(&c->signer_der);
    EVP_PKEY_free(c->root_key);
    tcb_info_free(&c->tcb_info);
    qe_identity_free(&c->qe_identity);
    free(c);
}

void tdx_platform_free(struct tdx_platform *p)
{
    if (!p)
        return;
    buffer_free(&p->text);
    pem_certificates_free(&p->der);
    EVP_PKEY_free(p->leaf_key);
    free(p);
}

static bool is_named(const struct intel_certificate *c, const char *name)
{
    return bytes_equal(c->common_name, bytes_of_text(name));
}

static bool is_authority(const struct intel_certificate *c)
{
    return c->is_ca && (c->use & USE_SIGN_CERTIFICATES) && (c->use & USE_SIGN_LISTS);
}

static bool is_end_entity(const struct intel_certificate *c)
{
    return !c->is_ca && (c->use & USE_SIGN) && !(c->use & USE_SIGN_CERTIFICATES);
}

/* Whether `c`, named `what` in messages, is signed by the holder of `issuer` and `key`. */
static bool issued_check(const struct intel_certificate *c, const struct intel_certificate *issuer, EVP_PKEY *key,
                         const char *what, struct appraisal *a)
{
    return check(a, bytes_equal(c->issuer, issuer->subject), REASON_TDX_BAD_CHAIN, "%s: issuer is its parent's subject",
                 what) &&
           check(a, p256_signed_der(key, c->tbs, c->signature), REASON_TDX_BAD_CERT_SIGNATURE,
                 "%s: signed by its issuer", what);
}

static bool key_read(const struct intel_certificate *c, EVP_PKEY *like, EVP_PKEY **out, const char *what,
                     struct appraisal *a)
{
    struct err err  = { 0 };
    bool       made = p256_key_of(c->point, like, out, &err);

    return check(a, made, REASON_TDX_BAD_CERTIFICATE, "%s: %s", what, made ? "key is a point of P-256" : err.text);
}

static bool certificate_check(struct bytes der, struct intel_certificate *out, const char *what,
                              enum verdict_reason reason, struct appraisal *a)
{
    struct err err  = { 0 };
    bool       read = intel_certificate_read(der, out, &err);

    return check(a, read, reason, "%s: %s", what, read ? "keeps the profile" : err.text);
}

/* The trust root may come as PEM; a list and a peer's root are compared with its DER. */
static bool root_read(const struct tdx_files *files, struct tdx_collateral *c, struct appraisal *a)
{
    AUTO(pem_certificates) struct pem_certificates pem = { 0 };
    struct err                                     err = { 0 };

    if (files->root_ca.len > 0 && files->root_ca.at[0] == '-') {
        bool read = pem_certificates_read(files->root_ca, &pem, &err);

        if (!check(a, read && pem.n == 1, REASON_TDX_BAD_ROOT, "trust root: %s", read ? "one certificate" : err.text))
            return false;
        buffer_append(&c->root_der, buffer_bytes(&pem.der[0]));
    } else {
        if (!check(a, files->root_ca.len <= CERTIFICATE_LEN_MAX, REASON_TDX_BAD_ROOT, "trust root: %zu bytes",
                   files->root_ca.len))
            return false;
        buffer_append(&c->root_der, files->root_ca);
    }
    return certificate_check(buffer_bytes(&c->root_der), &c->root, "trust root", REASON_TDX_BAD_ROOT, a) &&
           check(a, is_authority(&c->root) && is_named(&c->root, root_name), REASON_TDX_BAD_ROOT,
                 "trust root: an authority named %s", root_name) &&
           key_read(&c->root, NULL, &c->root_key, "trust root", a) &&
           check(a, bytes_equal(c->root.issuer, c->root.subject) &&
                        p256_signed_der(c->root_key, c->root.tbs, c->root.signature),
                 REASON_TDX_BAD_ROOT, "trust root: signed by itself");
}

/* The last certificate of a peer's chain is the pinned root, byte for byte; another root is told from disorder. */
static bool pinned_check(struct bytes last, const struct tdx_collateral *c, const char *what, struct appraisal *a)
{
    struct intel_certificate found     = { 0 };
    bool                     is_pinned = bytes_equal(last, buffer_bytes(&c->root_der));

    if (is_pinned)
        return check(a, true, REASON_TDX_UNTRUSTED_ROOT, "%s: ends in the trust root", what);
    if (!certificate_check(last, &found, what, REASON_TDX_BAD_CERTIFICATE, a))
        return false;

    bool is_a_root = bytes_equal(found.issuer, found.subject);

    return check(a, false, is_a_root ? REASON_TDX_UNTRUSTED_ROOT : REASON_TDX_BAD_CHAIN, "%s: ends in %s", what,
                 is_a_root ? "another root than the one trusted" : "a certificate that is no root");
}

static bool list_check(const struct intel_crl *list, const struct intel_certificate *issuer, EVP_PKEY *key,
                       const char *what, struct appraisal *a)
{
    return check(a, bytes_equal(list->issuer, issuer->subject), REASON_TDX_CRL_ISSUER_MISMATCH,
                 "%s: issued by its authority", what) &&
           check(a, p256_signed_der(key, list->tbs, list->signature), REASON_TDX_BAD_CRL_SIGNATURE,
                 "%s: signed by its authority", what);
}

static bool list_read(struct bytes der, struct buffer *copy, struct intel_crl *out, const char *what,
                      struct appraisal *a)
{
    struct err err = { 0 };

    if (!check(a, der.len > 0 && der.len <= CRL_LEN_MAX, REASON_TDX_BAD_CRL, "%s: %zu bytes", what, der.len))
        return false;
    buffer_append(copy, der);

    bool read = intel_crl_read(buffer_bytes(copy), out, &err);

    return check(a, read, REASON_TDX_BAD_CRL, "%s: %s", what, read ? "keeps the profile" : err.text);
}

static bool signer_read(struct bytes chain, struct tdx_collateral *c, EVP_PKEY **key, struct appraisal *a)
{
    struct err err  = { 0 };
    bool       read = pem_certificates_read(chain, &c->signer_der, &err);

    return check(a, read, REASON_TDX_BAD_CERTIFICATE, "TCB issuer chain: %s", read ? "PEM" : err.text) &&
           check(a, c->signer_der.n == SIGNER_CHAIN, REASON_TDX_BAD_CHAIN, "TCB issuer chain: %zu of %d certificates",
                 c->signer_der.n, SIGNER_CHAIN) &&
           pinned_check(buffer_bytes(&c->signer_der.der[1]), c, "TCB issuer chain", a) &&
           certificate_check(buffer_bytes(&c->signer_der.der[0]), &c->signer, "TCB signer",
                             REASON_TDX_BAD_CERTIFICATE, a) &&
           check(a, is_named(&c->signer, signer_name) && is_end_entity(&c->signer), REASON_TDX_BAD_TCB_SIGNER,
                 "TCB signer: an end entity named %s", signer_name) &&
           issued_check(&c->signer, &c->root, c->root_key, "TCB signer", a) &&
           check(a, !intel_crl_lists(&c->root_crl, c->signer.serial), REASON_TDX_TCB_SIGNER_REVOKED,
                 "TCB signer: not on the root's revocation list") &&
           key_read(&c->signer, c->root_key, key, "TCB signer", a);
}

static bool document_check(struct bytes whole, const char *name, EVP_PKEY *key, struct signed_json *out,
                           struct appraisal *a)
{
    struct err err   = { 0 };
    bool       split = signed_json_split(whole, name, out, &err);

    return check(a, split, REASON_TDX_BAD_COLLATERAL_FORMAT, "%s: %s", name, split ? "a signed document" : err.text) &&
           check(a, p256_signed(key, out->body, BYTES_OF(out->signature)), REASON_TDX_BAD_COLLATERAL_SIGNATURE,
                 "%s: signed by the TCB signer over its raw bytes", name);
}

static bool documents_read(const struct tdx_files *files, struct tdx_collateral *c, EVP_PKEY *key, struct appraisal *a)
{
    struct signed_json tcb = { 0 }, qe = { 0 };
    struct err         err = { 0 };
    bool               read;

    if (!document_check(files->tcb_info, "tcbInfo", key, &tcb, a))
        return false;
    read = tcb_info_read(tcb.body, &c->tcb_info, &err);
    if (!check(a, read, REASON_TDX_BAD_COLLATERAL_FORMAT, "tcbInfo: %s", read ? "version 3" : err.text) ||
        !check(a, strcmp(c->tcb_info.id, "TDX") == 0, REASON_TDX_TCB_INFO_MISMATCH, "tcbInfo: id is TDX"))
        return false;

    if (!document_check(files->qe_identity, "enclaveIdentity", key, &qe, a))
        return false;
    read = qe_identity_read(qe.body, &c->qe_identity, &err);
    return check(a, read, REASON_TDX_BAD_COLLATERAL_FORMAT, "enclaveIdentity: %s", read ? "version 2" : err.text) &&
           check(a, strcmp(c->qe_identity.id, "TD_QE") == 0, REASON_TDX_QE_IDENTITY_MISMATCH,
                 "enclaveIdentity: id is TD_QE");
}

struct tdx_collateral *tdx_collateral_new(const struct tdx_files *files, struct appraisal *a)
{
    AUTO(tdx_collateral) struct tdx_collateral *c   = zeroed(1, sizeof *c);
    AUTO(pkey) EVP_PKEY                        *key = NULL;

    if (!root_read(files, c, a) ||
        !list_read(files->root_crl, &c->root_crl_der, &c->root_crl, "root revocation list", a) ||
        !list_check(&c->root_crl, &c->root, c->root_key, "root revocation list", a) ||
        !signer_read(files->issuer_chain, c, &key, a) || !documents_read(files, c, key, a) ||
        !list_read(files->pck_crl, &c->pck_crl_der, &c->pck_crl, "PCK revocation list", a))
        return NULL;
    return TAKE(c);
}

static bool chain_read(struct bytes chain, struct tdx_platform *p, const struct tdx_collateral *c, struct appraisal *a)
{
    struct err err = { 0 };

    buffer_append(&p->text, chain);

    bool read = pem_certificates_read(chain, &p->der, &err);

    if (!check(a, read, REASON_TDX_FORMAT, "PCK chain: %s", read ? "PEM" : err.text) ||
        !check(a, p->der.n == PCK_CHAIN, REASON_TDX_BAD_CHAIN, "PCK chain: %zu of %d certificates", p->der.n,
               PCK_CHAIN) ||
        !pinned_check(buffer_bytes(&p->der.der[2]), c, "PCK chain", a))
        return false;
    return certificate_check(buffer_bytes(&p->der.der[0]), &p->leaf, "PCK certificate", REASON_TDX_BAD_CERTIFICATE,
                             a) &&
           certificate_check(buffer_bytes(&p->der.der[1]), &p->ca, "PCK authority", REASON_TDX_BAD_CERTIFICATE, a);
}

/* Issued, revoked or not, and by whom: leaf and intermediate. */
static bool chain_check(struct tdx_platform *p, const struct tdx_collateral *c, EVP_PKEY **ca_key, struct appraisal *a)
{
    return check(a, is_named(&p->leaf, leaf_name) && is_end_entity(&p->leaf), REASON_TDX_BAD_PCK_CERT,
                 "PCK certificate: an end entity named %s", leaf_name) &&
           check(a, (is_named(&p->ca, platform_name) || is_named(&p->ca, processor_name)) && is_authority(&p->ca),
                 REASON_TDX_BAD_CHAIN, "PCK authority: named %s or %s", platform_name, processor_name) &&
           issued_check(&p->ca, &c->root, c->root_key, "PCK authority", a) &&
           key_read(&p->ca, c->root_key, ca_key, "PCK authority", a) &&
           issued_check(&p->leaf, &p->ca, *ca_key, "PCK certificate", a) &&
           key_read(&p->leaf, c->root_key, &p->leaf_key, "PCK certificate", a) &&
           check(a, !intel_crl_lists(&c->root_crl, p->ca.serial), REASON_TDX_PCK_CA_REVOKED,
                 "PCK authority: not on the root's revocation list") &&
           list_check(&c->pck_crl, &p->ca, *ca_key, "PCK revocation list", a) &&
           check(a, !intel_crl_lists(&c->pck_crl, p->leaf.serial), REASON_TDX_PCK_REVOKED,
                 "PCK certificate: not on its authority's revocation list");
}

struct tdx_platform *tdx_platform_new(struct bytes chain, const struct tdx_collateral *c, struct appraisal *a)
{
    AUTO(tdx_platform) struct tdx_platform *p      = zeroed(1, sizeof *p);
    AUTO(pkey) EVP_PKEY                    *ca_key = NULL;
    struct err                              err    = { 0 };

    if (!chain_read(chain, p, c, a) || !chain_check(p, c, &ca_key, a))
        return NULL;

    bool read = pck_extension_read(p->leaf.sgx_extension, &p->pck, &err);

    if (!check(a, read, REASON_TDX_BAD_PCK_EXTENSION, "PCK certificate: %s", read ? "SGX extension" : err.text) ||
        !check(a, memcmp(p->pck.fmspc, c->tcb_info.fmspc, PCK_FMSPC_LEN) == 0, REASON_TDX_TCB_INFO_MISMATCH,
               "tcbInfo: fmspc is the PCK certificate's") ||
        !check(a, memcmp(p->pck.pceid, c->tcb_info.pceid, PCK_PCEID_LEN) == 0, REASON_TDX_TCB_INFO_MISMATCH,
               "tcbInfo: pceId is the PCK certificate's"))
        return NULL;
    return TAKE(p);
}

FALLIBLE tdx_platform_hint(struct bytes quote, uint8_t fmspc[static PCK_FMSPC_LEN], bool *is_platform_ca, struct err *err)
{
    AUTO(pem_certificates) struct pem_certificates der = { 0 };
    struct tdx_quote                               parsed;
    struct intel_certificate                       leaf = { 0 }, ca = { 0 };
    struct pck_extension                           pck;

    if (!tdx_quote_parse(quote, &parsed, err) || !pem_certificates_read(parsed.pck_chain, &der, err))
        return false;
    if (der.n != PCK_CHAIN)
        return fail_with(err, ERR_MALFORMED, "PCK chain: %zu of %d certificates", der.n, PCK_CHAIN);
    if (!intel_certificate_read(buffer_bytes(&der.der[0]), &leaf, err) ||
        !intel_certificate_read(buffer_bytes(&der.der[1]), &ca, err) ||
        !pck_extension_read(leaf.sgx_extension, &pck, err))
        return context(err, "PCK chain");
    memcpy(fmspc, pck.fmspc, PCK_FMSPC_LEN);
    *is_platform_ca = is_named(&ca, platform_name);
    return true;
}

bool tdx_validity_check(const struct tdx_collateral *c, const struct tdx_platform *p, int64_t now, struct appraisal *a)
{
    enum { EXPIRED, NOT_YET };
    static const enum verdict_reason document[]    = { REASON_TDX_COLLATERAL_EXPIRED, REASON_TDX_COLLATERAL_NOT_YET_VALID };
    static const enum verdict_reason list[]        = { REASON_TDX_CRL_EXPIRED, REASON_TDX_CRL_NOT_YET_VALID };
    static const enum verdict_reason certificate[] = { REASON_TDX_CERT_EXPIRED, REASON_TDX_CERT_NOT_YET_VALID };
    const struct { const char *what; int64_t from, to; const enum verdict_reason *reasons; } windows[] = {
        { "tcbInfo", c->tcb_info.issued, c->tcb_info.next_update, document },
        { "enclaveIdentity", c->qe_identity.issued, c->qe_identity.next_update, document },
        { "root revocation list", c->root_crl.this_update, c->root_crl.next_update, list },
        { "PCK revocation list", c->pck_crl.this_update, c->pck_crl.next_update, list },
        { "trust root", c->root.not_before, c->root.not_after, certificate },
        { "TCB signer", c->signer.not_before, c->signer.not_after, certificate },
        { "PCK authority", p->ca.not_before, p->ca.not_after, certificate },
        { "PCK certificate", p->leaf.not_before, p->leaf.not_after, certificate },
    };
    bool all = true;

    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        bool is_valid                    = now >= windows[i].from && now <= windows[i].to;
        char from[INSTANT_TEXT_LEN + 1]  = "", to[INSTANT_TEXT_LEN + 1] = "";

        if (!is_valid || a->listener) {
            instant_write(windows[i].from, from);
            instant_write(windows[i].to, to);
        }
        all &= check(a, is_valid, windows[i].reasons[now < windows[i].from ? NOT_YET : EXPIRED],
                     "%s: valid from %s to %s", windows[i].what, from, to);
    }
    return all;
}

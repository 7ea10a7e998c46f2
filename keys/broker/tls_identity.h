/*
 * Who we are in TLS, with a key that OpenSSL signs with: for ECDSA on P-256, GnuTLS takes several times as long, which is
 * felt at every new connection; and the key lies in the heap for secrets. One for the process: every listener shows the
 * same. Keys of other kinds are left to GnuTLS.
 */
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "base/ossl.h"
#include "base/secret.h"

struct tls_identity;

/*
 * Reads certificate and chain, and their key, as credentials have them.
 *
 *   out    yours; NULL when the key is not on P-256
 *
 * Fails CONFIG.
 */
FALLIBLE tls_identity_new(struct bytes chain_pem, const struct secret *key_pem, struct tls_identity **out, struct err *err);
void     tls_identity_free(struct tls_identity *identity); /* one that was never shown */
DEFINE_AUTO(tls_identity, struct tls_identity *, tls_identity_free)

/* New handshakes have this one, those under way keep theirs. NULL: GnuTLS has a key of its own. */
void tls_identity_show(struct tls_identity *identity_take);
bool tls_identity_is_shown(void);
/* When no handshake can be under way that began before the one of now was shown. */
void tls_identity_forget_older(void);

/* libmicrohttpd hands it to GnuTLS: MHD_OPTION_HTTPS_CERT_CALLBACK2. */
int tls_identity_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **certs, unsigned *n_certs,
                          gnutls_ocsp_data_st **ocsp, unsigned *n_ocsp, gnutls_privkey_t *key, unsigned *flags);

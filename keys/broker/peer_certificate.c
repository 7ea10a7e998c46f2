#include "keys/broker/peer_certificate.h"

#include <gnutls/gnutls.h>

bool peer_certificate_digest(struct MHD_Connection *connection, uint8_t out[static SHA256_LEN])
{
    const union MHD_ConnectionInfo *link = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    const gnutls_datum_t           *certificates;
    unsigned                        status = 1, n = 0;

    if (!link || !link->tls_session)
        return false;
    certificates = gnutls_certificate_get_peers(link->tls_session, &n);
    if (!certificates || n == 0 || gnutls_certificate_verify_peers2(link->tls_session, &status) != GNUTLS_E_SUCCESS || status != 0)
        return false;
    sha256_of((struct bytes){ certificates[0].data, certificates[0].size }, out);
    return true;
}

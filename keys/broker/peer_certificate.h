/* Which certificate a client has shown in its TLS handshake, if it was verified. */
#pragma once

#include <microhttpd.h>
#include <stdint.h>

#include "base/ossl.h"

/* The SHA-256 of the certificate, DER. False: none was shown, or it does not chain to the CA of this listener now. */
bool peer_certificate_digest(struct MHD_Connection *connection, uint8_t out[static SHA256_LEN]);

/* URLs of Intel's provisioning certification service, or of a PCCS that speaks its API. [PCS v4; tdx.md] */
#pragma once

#include "base/bytes.h"

#define PCS_BASE_URL     "https://api.trustedservices.intel.com"
#define PCS_ROOT_CRL_URL "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"

enum { PCS_FMSPC_LEN = 6, PCS_LIFETIME_S = 86400 };

enum pcs_update { PCS_UPDATE_STANDARD, PCS_UPDATE_EARLY };

/* All append to `out`. The issuer chain of the first three comes in a header: see struct answer. */
void pcs_tcb_info_url(const char *base, const uint8_t fmspc[static PCS_FMSPC_LEN], enum pcs_update update, struct buffer *out);
void pcs_qe_identity_url(const char *base, enum pcs_update update, struct buffer *out);
void pcs_pck_crl_url(const char *base, bool of_platform_ca, struct buffer *out); /* DER */

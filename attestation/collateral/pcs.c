#include "attestation/collateral/pcs.h"

#include "base/text.h"

static const char *update_name(enum pcs_update update)
{
    return update == PCS_UPDATE_EARLY ? "early" : "standard";
}

void pcs_tcb_info_url(const char *base, const uint8_t fmspc[static PCS_FMSPC_LEN], enum pcs_update update, struct buffer *out)
{
    buffer_printf(out, "%s/tdx/certification/v4/tcb?fmspc=", base);
    hex_append(out, (struct bytes){ fmspc, PCS_FMSPC_LEN });
    buffer_printf(out, "&update=%s", update_name(update));
}

void pcs_qe_identity_url(const char *base, enum pcs_update update, struct buffer *out)
{
    buffer_printf(out, "%s/tdx/certification/v4/qe/identity?update=%s", base, update_name(update));
}

void pcs_pck_crl_url(const char *base, bool of_platform_ca, struct buffer *out)
{
    buffer_printf(out, "%s/sgx/certification/v4/pckcrl?ca=%s&encoding=der", base, of_platform_ca ? "platform" : "processor");
}

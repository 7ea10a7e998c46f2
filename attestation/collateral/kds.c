#include "attestation/collateral/kds.h"

#include "base/text.h"

FALLIBLE kds_vcek_url(const char *base, const struct snp_report *report, enum snp_product product, struct buffer *out,
                      struct err *err)
{
    const struct snp_tcb *tcb  = &report->reported_tcb;
    struct bytes          chip = report->chip_id;

    if (report->product != SNP_PRODUCT_UNKNOWN && product != report->product)
        return fail_with(err, ERR_UNSUPPORTED, "VCEK of %s for a report of %s", snp_product_name(product),
                         snp_product_name(report->product));
    if (product == SNP_PRODUCT_UNKNOWN || (product == SNP_TURIN) != report->is_turin_layout)
        return fail_with(err, ERR_UNSUPPORTED, "report does not fit product %s", snp_product_name(product));
    if (report->signing_key != SNP_SIGNED_BY_VCEK)
        return fail_with(err, ERR_UNSUPPORTED, "report is not signed by a VCEK: its certificate comes with the evidence");
    if (bytes_are_zero(chip))
        return fail_with(err, ERR_UNSUPPORTED, "CHIP_ID is masked: there is nothing to ask for");

    if (product == SNP_TURIN)
        chip.len = SNP_TURIN_CHIP_ID_LEN;
    buffer_printf(out, "%s/vcek/v1/%s/", base, snp_product_name(product));
    hex_append(out, chip);
    buffer_append_text(out, "?");
    if (product == SNP_TURIN)
        buffer_printf(out, "fmcSPL=%u&", tcb->fmc);
    buffer_printf(out, "blSPL=%u&teeSPL=%u&snpSPL=%u&ucodeSPL=%u", tcb->bootloader, tcb->tee, tcb->snp, tcb->microcode);
    return true;
}

void kds_chain_url(const char *base, enum snp_product product, bool of_vlek, struct buffer *out)
{
    buffer_printf(out, "%s/%s/v1/%s/cert_chain", base, of_vlek ? "vlek" : "vcek", snp_product_name(product));
}

void kds_crl_url(const char *base, enum snp_product product, bool of_vlek, struct buffer *out)
{
    buffer_printf(out, "%s/%s/v1/%s/crl", base, of_vlek ? "vlek" : "vcek", snp_product_name(product));
}

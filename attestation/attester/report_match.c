#include "attestation/attester/report_match.h"

#include <string.h>

#include "attestation/evidence/snp_report.h"
#include "attestation/evidence/tdx_quote.h"

FALLIBLE report_matches(const char *tee, struct bytes report, struct bytes report_data, struct err *err)
{
    struct snp_report snp   = { 0 };
    struct tdx_quote  quote = { 0 };
    struct bytes      found = { 0 };

    if (strcmp(tee, "snp") == 0) {
        if (!snp_report_parse(report, &snp, NULL, err))
            return false;
        found = snp.report_data;
    } else {
        if (!tdx_quote_parse(report, &quote, err))
            return false;
        found = quote.body.report_data;
    }
    return bytes_equal(found, report_data) ||
           fail_with(err, ERR_UNTRUSTED, "report carries other report data than was asked for");
}

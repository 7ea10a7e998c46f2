/* The last look at evidence before it leaves the guest: is it well formed, and about what was asked? */
#pragma once

#include "base/bytes.h"

/*
 * Whether `report` is an SNP report or TDX quote ("snp", "tdx") that carries `report_data`. The transport goes through
 * the host, so a report of another request, cut off or made up is expected here. Fails MALFORMED, UNTRUSTED.
 */
FALLIBLE report_matches(const char *tee, struct bytes report, struct bytes report_data, struct err *err);

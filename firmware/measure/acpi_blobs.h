/* QEMU's other two ACPI blobs, made from the first: the recipe (etc/table-loader) and the root pointer. */
#pragma once

#include "base/bytes.h"

enum { ACPI_TABLES_MAX = 32, ACPI_BLOB_LEN_MAX = 2 << 20, ACPI_RSDP_LEN = 20 };

/*
 * Derives them from etc/acpi/tables as the guest reads it, before it is patched.
 *
 *   loader, rsdp    appended
 *
 * Fails MALFORMED when the blob is not QEMU's sequence of tables with one DSDT, one FACP and one RSDT.
 */
FALLIBLE acpi_blobs_derive(struct bytes tables, struct buffer *loader, struct buffer *rsdp, struct err *err);

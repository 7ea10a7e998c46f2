/*
 * What a TDX guest must find in its ACPI tables and QEMU does not put there: the mailbox in which the kernel wakes the
 * other CPUs (MADT), and where the log of measurements lies (CCEL). [ACPI 6.5, 5.2.12.19; GHCI 4.3.3]
 */
#pragma once

#include "base/bytes.h"

enum { ACPI_ADDITIONS_ROOM = 0xd000 };

struct acpi_additions {
    uint8_t *area; /* the host's tables, linked; all of them must lie in it */
    size_t   area_len;
    uint64_t area_gpa; /* the same place in guest-physical addresses */
    uint8_t *room;     /* ACPI_ADDITIONS_ROOM bytes elsewhere, for the new tables */
    uint64_t room_gpa; /* below 4 GiB */
    uint64_t rsdp, mailbox, log, log_len; /* guest-physical */
};

/*
 * Makes new tables in the room and lets RSDT and RSDP point to them.
 *
 * Fails MALFORMED for tables that leave the area or are not one RSDT with one MADT, UNTRUSTED when they name a mailbox
 * or a log already: those would be the host's, LIMIT when the room does not suffice.
 */
FALLIBLE acpi_additions_make(const struct acpi_additions *additions, struct err *err);

/* The first state of a virtual CPU, as the page that an SEV-SNP launch measures. [APM2 B.4, QEMU and KVM sources] */
#pragma once

#include "firmware/measure/launch_digest.h"

/* Hypervisors leave different values in a few registers. */
#define VMSA_MACHINES(X)     \
    X(VMSA_QEMU, "qemu")     \
    X(VMSA_EC2,  "ec2")      \
    X(VMSA_GCE,  "gce")

#define VMSA_MACHINE_ENUM(name, text) name,
enum vmsa_machine { VMSA_MACHINES(VMSA_MACHINE_ENUM) };
#undef VMSA_MACHINE_ENUM

struct vmsa_options {
    enum vmsa_machine machine;
    bool              boots;          /* the first CPU; the others are woken by it */
    uint32_t          eip;            /* where it starts: VMSA_RESET_EIP, or the image's reset block for the others */
    uint32_t          cpu_signature;  /* CPUID(1).EAX of the CPU model; the value of RDX at reset */
    uint64_t          guest_features; /* SEV_FEATURES */
};

#define VMSA_RESET_EIP 0xfffffff0U
#define VMSA_GPA       0xfffffffff000ULL /* where KVM says that every such page lies */

void vmsa_write(const struct vmsa_options *options, uint8_t page[static LAUNCH_PAGE_LEN]);

FALLIBLE    vmsa_machine_read(const char *text, enum vmsa_machine *out, struct err *err); /* fails CONFIG */
const char *vmsa_machine_name(enum vmsa_machine machine);

/* QEMU's names of AMD CPU models and the signature that each puts into RDX at reset. */
#pragma once

#include "base/bytes.h"

/*
 * The CPUID(1).EAX value of a model: "EPYC", "EPYC-Milan-v2", ..., or the value itself as "0x..." (for `-cpu host`).
 * Fails CONFIG with the list of names.
 */
FALLIBLE cpu_model_signature(const char *name, uint32_t *out, struct err *err);

/* The same from its parts, as CPUID lays them out. */
uint32_t cpu_model_signature_of(uint32_t family, uint32_t model, uint32_t stepping);

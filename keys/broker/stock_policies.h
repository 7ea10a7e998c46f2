/* The policies that the broker starts with: the texts of policy/broker, put here by policy/stock_policies.py. */
#pragma once

extern const char STOCK_ATTESTATION_CPU[]; /* attestation_cpu.rego */

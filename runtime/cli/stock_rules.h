/* Texts of policy/agent that are built into the command. */
#pragma once

extern const char STOCK_POD[]; /* policy/agent/pod.rego */

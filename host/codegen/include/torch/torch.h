// The tensor library of GPSIMD custom operators, on top of an emulated core: tensors, accessors, factories and
// element-wise functions as the vendor documents them (custom-ops-ref-guide), and of ATen what a shape function needs.
//
// Every mistake that these calls can see is an error of the emulator with the line of the op's source.
#ifndef GPSIMD_TORCH_TORCH_H
#define GPSIMD_TORCH_TORCH_H

// For what an op says differently here than on the device.
#define GPSIMD_EMULATED 1

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <gpsimd/check.hpp>
#include <gpsimd/elementwise.hpp>
#include <gpsimd/factories.hpp>
#include <gpsimd/tcm.hpp>
#include <gpsimd/tensor.hpp>

#endif

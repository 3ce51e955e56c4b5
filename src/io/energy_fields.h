#pragma once
// The field table (core/fields.h) of an energy-based model.

#include "core/fields.h"
#include "tweedie/energy.h"

namespace tweedie {

inline void fields(FieldVisitor& visit, EnergyOptions& o) {
  visit(o.width, {"width",
                  "of each hidden layer; of images, channels at the lowest resolution",
                  {.min = 1, .max = 1e5}});
  visit(o.depth, {"depth", "residual layers; of images, resolutions", {.min = 1, .max = 1e3}});
  visit(o.quadratic, {"quadratic", "a Gaussian in place of a network"});
  visit(o.negatives,
        {"negatives", "where the chains of a training step start: at the data, or where they were"});
  visit(o.langevin_steps, {"langevin_steps", "of each chain in each training step", {.min = 1, .max = 1e6}});
  visit(o.step_size, {"step_size",
                      "of Langevin moves, in units of the data's variance",
                      {.min = 0, .max = 2, .open_min = true, .open_max = true}});
  visit(o.reinitialise,
        {"reinitialise", "share of persistent chains restarted in each step", {.min = 0, .max = 1}});
  visit(o.chains, {"chains", "persistent ones, at least", {.min = 1, .max = 1e9}});
  visit(o.energy_l2, {"energy_l2", "weight of the squared energies in the loss", {.min = 0}});
  visit(o.sampler, {"sampler", "ula: the law that was fitted to the data; mala: exp(-E) exactly"});
  visit(o.sampler_steps, {"sampler_steps", "moves from noise to a draw", {.min = 1, .max = 1e9}});
}

}  // namespace tweedie

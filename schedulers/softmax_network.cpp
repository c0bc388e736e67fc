#include "schedulers/softmax_network.hpp"

#include <cmath>

#include "sim/core/random.hpp"

namespace isthmus::schedulers {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

SoftmaxNetwork::SoftmaxNetwork(Index inputs, Index hidden, std::uint64_t seed)
    : inputs_(inputs), hidden_(hidden), weights_(hidden * (inputs + 2)) {
  Rng g = StreamKey(seed, "softmax-network").sequence();
  const double bound = 1 / std::sqrt(static_cast<double>(inputs));
  for (Index i = 0; i < weights_.size(); ++i) weights_[i] = bound * (2 * uniform01(g) - 1);
}

MatrixXd SoftmaxNetwork::hidden_layer(const MatrixXd& items) const {
  const Eigen::Map<const MatrixXd> w(weights_.data(), hidden_, inputs_);
  MatrixXd h = w * items;
  h.colwise() += weights_.segment(hidden_ * inputs_, hidden_);
  for (Index i = 0; i < h.size(); ++i) h.data()[i] = std::tanh(h.data()[i]);
  return h;
}

VectorXd SoftmaxNetwork::probabilities(const MatrixXd& items) const {
  const VectorXd scores = hidden_layer(items).transpose() * weights_.tail(hidden_);
  VectorXd p(scores.size());
  for (Index i = 0; i < p.size(); ++i) p[i] = std::exp(scores[i] - scores.maxCoeff());
  return p / p.sum();
}

VectorXd SoftmaxNetwork::gradient(const MatrixXd& items, Index chosen, double entropy) const {
  const MatrixXd h = hidden_layer(items);
  const VectorXd p = probabilities(items);
  double information = 0;
  for (Index i = 0; i < p.size(); ++i)
    if (p[i] > 0) information -= p[i] * std::log(p[i]);
  // By the scores: 1 at the chosen one - p, and - p (log p + H).
  VectorXd by_score = -p;
  by_score[chosen] += 1;
  for (Index i = 0; i < p.size(); ++i)
    if (p[i] > 0) by_score[i] -= entropy * p[i] * (std::log(p[i]) + information);

  VectorXd out(weights_.size());
  const auto v = weights_.tail(hidden_);
  MatrixXd inner(hidden_, items.cols());  // by the sums before tanh
  for (Index i = 0; i < items.cols(); ++i)
    for (Index k = 0; k < hidden_; ++k) inner(k, i) = by_score[i] * v[k] * (1 - h(k, i) * h(k, i));
  Eigen::Map<MatrixXd>(out.data(), hidden_, inputs_) = inner * items.transpose();
  out.segment(hidden_ * inputs_, hidden_) = inner.rowwise().sum();
  out.tail(hidden_) = h * by_score;
  return out;
}

}  // namespace isthmus::schedulers

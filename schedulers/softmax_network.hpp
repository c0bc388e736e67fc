// A small neural network that rates items one by one and prefers the better ones.
#pragma once

#include <Eigen/Core>

#include <cstdint>

namespace isthmus::schedulers {

//! score(x) = v' tanh(W x + b); items are chosen with probabilities softmax(scores). The same weights
//! for every item, so that it takes any number of them.
class SoftmaxNetwork {
 public:
  //! Weights uniform in +-1/sqrt(inputs), pure functions of the seed.
  SoftmaxNetwork(Eigen::Index inputs, Eigen::Index hidden, std::uint64_t seed);

  //! One column per item.
  Eigen::VectorXd probabilities(const Eigen::MatrixXd& items) const;
  //! Gradient by weights() of log p(chosen), plus `entropy` times that of the entropy.
  Eigen::VectorXd gradient(const Eigen::MatrixXd& items, Eigen::Index chosen, double entropy) const;

  Eigen::VectorXd& weights() { return weights_; }
  const Eigen::VectorXd& weights() const { return weights_; }

 private:
  Eigen::MatrixXd hidden_layer(const Eigen::MatrixXd& items) const;
  Eigen::Index inputs_, hidden_;
  Eigen::VectorXd weights_;  // W by columns, b, v
};

}  // namespace isthmus::schedulers

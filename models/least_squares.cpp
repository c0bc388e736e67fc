#include "models/least_squares.hpp"

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

double huber_loss(const VectorXd& r, double limit) {
  double sum = 0;
  for (const double v : r) {
    const double a = std::abs(v);
    sum += a <= limit ? v * v / 2 : limit * (a - limit / 2);
  }
  return sum;
}

class Fit {
 public:
  explicit Fit(const LeastSquaresProblem& problem)
      : p_(problem),
        n_(static_cast<Index>(problem.unknowns.size())),
        left_out_(problem.unknowns.size(), false) {
    x_.resize(n_);
    for (Index j = 0; j < n_; ++j) x_[j] = p_.unknowns[at(j)].start;
    const VectorXd start = x_;
    for (Index j = 0; j < n_; ++j) x_[j] = p_.unknowns[at(j)].first;
    const std::vector<VectorXd> both = evaluate({start, x_});
    at_start_ = both[0];
    r_ = both[1];
    result_.unknowns.resize(p_.unknowns.size());
    if (p_.groups.size() != at(r_.size())) throw InternalError("one group per residual is needed");
  }

  LeastSquaresFit run() {
    do {
      // The limit of outliers follows the residuals once they are small.
      for (const double widening : p_.widenings) {
        widening_ = widening;
        limit_ = 0;
        for (int round = 0; round < 6 && set_limit(); ++round) descend();
      }
      for (int round = 0; round < p_.searches && search(); ++round) descend();
    } while (leave_one_out());
    result_.cost_before = huber_loss(at_start_, limit_);
    result_.cost_after = huber_loss(r_, limit_);
    for (Index j = 0; j < n_; ++j) result_.unknowns[at(j)].value = x_[j];
    return result_;
  }

 private:
  std::vector<VectorXd> evaluate(const std::vector<VectorXd>& points) {
    result_.evaluations += points.size();
    std::vector<VectorXd> all = p_.residuals(points);
    if (all.size() != points.size()) throw InternalError("residuals of every point are needed");
    for (const VectorXd& r : all)
      if (r.size() != (r_.size() > 0 ? r_.size() : r.size()) || !r.allFinite())
        throw InternalError("residuals must be finite and equally many everywhere");
    return all;
  }

  // False when it hardly changes.
  bool set_limit() {
    std::vector<double> a(r_.data(), r_.data() + r_.size());
    for (double& v : a) v = std::abs(v);
    const auto middle = a.begin() + static_cast<std::ptrdiff_t>(a.size() / 2);
    std::nth_element(a.begin(), middle, a.end());
    const double before = limit_;
    limit_ = std::max(p_.smallest_outlier, a.empty() ? 0 : 2 * *middle);
    return std::abs(limit_ - before) > 0.05 * limit_;
  }

  // Central differences; one-sided where a bound is too near.
  MatrixXd jacobian() {
    std::vector<VectorXd> points;
    std::vector<double> low(at(n_)), high(at(n_));
    for (Index j = 0; j < n_; ++j) {
      const Unknown& u = p_.unknowns[at(j)];
      const double step = u.step * widening_;
      low[at(j)] = x_[j] - step >= u.lower ? x_[j] - step : x_[j];
      high[at(j)] = x_[j] + step <= u.upper ? x_[j] + step : x_[j];
      if (left_out_[at(j)]) continue;
      for (const double value : {low[at(j)], high[at(j)]}) {
        if (value == x_[j]) continue;
        points.push_back(x_);
        points.back()[j] = value;
      }
    }
    const std::vector<VectorXd> all = evaluate(points);
    MatrixXd jac = MatrixXd::Zero(r_.size(), n_);
    std::size_t next = 0;
    for (Index j = 0; j < n_; ++j) {
      if (left_out_[at(j)] || high[at(j)] == low[at(j)]) continue;
      const VectorXd& below = low[at(j)] == x_[j] ? r_ : all[next++];
      const VectorXd& above = high[at(j)] == x_[j] ? r_ : all[next++];
      jac.col(j) = (above - below) / (high[at(j)] - low[at(j)]);
    }
    return jac;
  }

  VectorXd weights() const {
    VectorXd w(r_.size());
    for (Index i = 0; i < r_.size(); ++i)
      w[i] = std::abs(r_[i]) <= limit_ ? 1 : limit_ / std::abs(r_[i]);
    return w;
  }

  bool pushes_out(Index j, double gradient) const {
    const Unknown& u = p_.unknowns[at(j)];
    return (x_[j] <= u.lower && gradient >= 0) || (x_[j] >= u.upper && gradient <= 0);
  }

  // Levenberg-Marquardt until nothing moves by more than a tenth of the steps.
  void descend() {
    double damping = 1e-3;
    result_.converged = false;
    for (int iteration = 0; iteration < p_.max_iterations; ++iteration) {
      const MatrixXd jac = jacobian();
      const VectorXd root = weights().cwiseSqrt();
      const VectorXd gradient = jac.transpose() * (root.cwiseAbs2().cwiseProduct(r_));
      std::vector<Index> free;
      for (Index j = 0; j < n_; ++j)
        if (!left_out_[at(j)] && jac.col(j).squaredNorm() > 0 && !pushes_out(j, gradient[j]))
          free.push_back(j);
      if (free.empty()) {
        result_.converged = true;
        return;
      }
      const double before = huber_loss(r_, limit_);
      bool moved = false, small = true;
      for (int attempt = 0; attempt < 8 && !moved; ++attempt) {
        VectorXd next = x_;
        const VectorXd step = solve(jac, root, free, damping);
        small = true;
        for (std::size_t k = 0; k < free.size(); ++k) {
          const Unknown& u = p_.unknowns[at(free[k])];
          double& value = next[free[k]];
          value = std::clamp(value + step[static_cast<Index>(k)], u.lower, u.upper);
          small = small && std::abs(value - x_[free[k]]) < u.step * widening_ / 10;
        }
        if (next == x_) break;
        const VectorXd r = evaluate({next}).front();
        const double after = huber_loss(r, limit_);
        if (after < before) {
          moved = true;
          small = small || before - after < 1e-5 * before;
          x_ = next;
          r_ = r;
          damping = std::max(damping / 10, 1e-9);
        } else {
          damping *= 5;
          if (small) break;
        }
      }
      if (!moved || small) {
        result_.converged = true;
        return;
      }
    }
  }

  // Looks along lines on which the residuals change least, near and far: functions with many small
  // valleys hide the deepest from a descent, most of all where two unknowns make up for each other.
  // False when here is as good as anywhere.
  bool search() {
    const double narrow = widening_;
    widening_ = p_.judging;
    const MatrixXd jac = jacobian();
    widening_ = narrow;
    std::vector<Index> free;
    for (Index j = 0; j < n_; ++j)
      if (!left_out_[at(j)] && jac.col(j).squaredNorm() > 0) free.push_back(j);
    if (free.empty()) return false;
    const auto columns = static_cast<Index>(free.size());
    MatrixXd unit(r_.size(), columns);
    for (Index k = 0; k < columns; ++k) unit.col(k) = jac.col(free[at(k)]).normalized();
    std::vector<VectorXd> points;
    const auto add = [&](const VectorXd& direction, double length) {  // in the scaled columns
      VectorXd x = x_;
      for (Index k = 0; k < columns; ++k) {
        const Unknown& u = p_.unknowns[at(free[at(k)])];
        double& value = x[free[at(k)]];
        value = std::clamp(value + length * direction[k] / jac.col(free[at(k)]).norm(), u.lower,
                           u.upper);
      }
      points.push_back(x);
    };
    const Eigen::SelfAdjointEigenSolver<MatrixXd> axes(unit.transpose() * unit);
    for (Index a = 0; a < columns; ++a)
      for (const double far : {1.0, 4.0, 16.0, 64.0})
        for (const double sign : {-1.0, 1.0})
          add(axes.eigenvectors().col(a),
              sign * far * limit_ / std::sqrt(std::max(axes.eigenvalues()[a], 1e-6)));
    // One unknown elsewhere, the others where they make up for it best.
    for (Index k = 0; k < columns; ++k) {
      MatrixXd others(r_.size(), columns - 1);
      for (Index o = 0; o + 1 < columns; ++o) others.col(o) = unit.col(o < k ? o : o + 1);
      const VectorXd makeup =
          columns > 1 ? VectorXd(others.colPivHouseholderQr().solve(-unit.col(k))) : VectorXd();
      VectorXd direction = VectorXd::Ones(columns);
      for (Index o = 0; o + 1 < columns; ++o) direction[o < k ? o : o + 1] = makeup[o];
      const double step = p_.unknowns[at(free[at(k)])].step * jac.col(free[at(k)]).norm();
      for (const double far : {2.0, 5.0, 10.0, 20.0, 30.0})
        for (const double sign : {-1.0, 1.0}) add(direction, sign * far * step);
    }
    const std::vector<VectorXd> all = evaluate(points);
    const double here = huber_loss(r_, limit_);
    double best = here;
    for (std::size_t k = 0; k < all.size(); ++k)
      if (const double loss = huber_loss(all[k], limit_); loss < best) {
        best = loss;
        x_ = points[k];
        r_ = all[k];
      }
    return best < 0.999 * here;
  }

  VectorXd solve(const MatrixXd& jac, const VectorXd& root, const std::vector<Index>& free,
                 double damping) const {
    const auto columns = static_cast<Index>(free.size());
    MatrixXd a = MatrixXd::Zero(jac.rows() + columns, columns);
    VectorXd b = VectorXd::Zero(jac.rows() + columns);
    b.head(jac.rows()) = -root.cwiseProduct(r_);
    for (Index k = 0; k < columns; ++k) {
      a.col(k).head(jac.rows()) = root.cwiseProduct(jac.col(free[at(k)]));
      a(jac.rows() + k, k) = std::sqrt(damping) * a.col(k).norm();
    }
    return a.colPivHouseholderQr().solve(b);
  }

  // Judges the unknowns; true when one was put back, and the others must be fitted again.
  bool leave_one_out() {
    widening_ = p_.judging;
    const MatrixXd jac = jacobian();
    const VectorXd gradient = jac.transpose() * (weights().cwiseProduct(r_));
    std::vector<Index> free;
    bool again = false;
    for (Index j = 0; j < n_; ++j) {
      FittedUnknown& u = result_.unknowns[at(j)];
      if (left_out_[at(j)]) continue;
      u.standard_error = std::numeric_limits<double>::quiet_NaN();
      u.identified = Identified::yes;
      // A step that moves the residuals by less than a millionth moves nothing.
      const double effect = jac.col(j).norm() * p_.unknowns[at(j)].step * widening_;
      if (effect < 1e-6 * std::sqrt(static_cast<double>(r_.size()))) {
        u.identified = Identified::no_effect;
        again = again || x_[j] != p_.unknowns[at(j)].start;
        put_back(j);
      } else if (pushes_out(j, gradient[j])) {
        u.identified = Identified::at_bound;
      } else {
        free.push_back(j);
      }
    }
    if (again) {
      r_ = evaluate({x_}).front();
      return true;
    }
    if (free.empty()) return false;

    const auto columns = static_cast<Index>(free.size());
    MatrixXd unit(r_.size(), columns);
    VectorXd length(columns);
    for (Index k = 0; k < columns; ++k) {
      length[k] = jac.col(free[at(k)]).norm();
      unit.col(k) = jac.col(free[at(k)]) / length[k];
    }
    Eigen::ColPivHouseholderQR<MatrixXd> qr(unit);
    qr.setThreshold(1e-6);
    MatrixXd inverse;  // of unit' unit
    VectorXd error;
    if (qr.rank() == columns) {
      const MatrixXd r = qr.matrixR().topLeftCorner(columns, columns).triangularView<Eigen::Upper>();
      const MatrixXd half = r.triangularView<Eigen::Upper>().solve(MatrixXd::Identity(columns, columns));
      const MatrixXd whole = qr.colsPermutation() * half;
      inverse = whole * whole.transpose();
      error = jackknife(unit).cwiseQuotient(length);
      for (Index k = 0; k < columns; ++k) result_.unknowns[at(free[at(k)])].standard_error = error[k];
    }
    Index worst = -1;
    for (Index k = 0; k < columns; ++k) {
      const double inflation =
          inverse.size() > 0 ? inverse(k, k) : std::numeric_limits<double>::infinity();
      const bool vague = inverse.size() > 0 && inflation > 30 && error[k] > std::abs(x_[free[at(k)]]);
      if (columns > 1 && (inflation > 1e4 || vague)) worst = k;
    }
    if (worst < 0) return false;
    // It goes with the column most like its own; the later of the two is left out.
    Index like = worst == 0 ? 1 : 0;
    const auto likeness = [&](Index k) { return std::abs(unit.col(k).dot(unit.col(worst))); };
    for (Index k = 0; k < columns; ++k)
      if (k != worst && likeness(k) > likeness(like)) like = k;
    const Index out = free[at(std::max(worst, like))], in = free[at(std::min(worst, like))];
    result_.unknowns[at(out)].identified = Identified::confounded;
    result_.unknowns[at(out)].other = at(in);
    result_.unknowns[at(out)].standard_error = std::numeric_limits<double>::quiet_NaN();
    put_back(out);
    r_ = evaluate({x_}).front();
    return true;
  }

  void put_back(Index j) {
    left_out_[at(j)] = true;
    x_[j] = p_.unknowns[at(j)].start;
  }

  // Standard errors in the scaled columns: the jackknife over groups, to first order. Its residuals
  // are those of fits without their group, so that a group that decides a value alone shows.
  VectorXd jackknife(const MatrixXd& unit) const {
    const Index columns = unit.cols();
    double inside = 0;
    for (const double v : r_) inside += std::abs(v) <= limit_;
    const double share = std::max(inside, 1.0) / static_cast<double>(r_.size());

    const std::size_t groups =
        p_.groups.empty() ? 0 : *std::max_element(p_.groups.begin(), p_.groups.end()) + 1;
    std::vector<std::vector<Index>> members(groups);
    for (Index i = 0; i < r_.size(); ++i) members[p_.groups[at(i)]].push_back(i);
    const auto many = static_cast<double>(groups);
    if (many <= static_cast<double>(columns) + 1)
      return VectorXd::Constant(columns, std::numeric_limits<double>::quiet_NaN());
    MatrixXd sum = MatrixXd::Zero(columns, columns);
    VectorXd alone = VectorXd::Zero(columns);
    const MatrixXd all = unit.transpose() * unit;
    for (const std::vector<Index>& rows : members) {
      if (rows.empty()) continue;
      MatrixXd x(static_cast<Index>(rows.size()), columns);
      VectorXd r(static_cast<Index>(rows.size()));
      for (std::size_t k = 0; k < rows.size(); ++k) {
        x.row(static_cast<Index>(k)) = unit.row(rows[k]);
        r[static_cast<Index>(k)] = std::clamp(r_[rows[k]], -limit_, limit_);
      }
      // (X'X - Xb'Xb)^-1 Xb' r: the change of the values without group b.
      const Eigen::SelfAdjointEigenSolver<MatrixXd> rest(all - x.transpose() * x);
      const VectorXd turned = rest.eigenvectors().transpose() * (x.transpose() * r);
      VectorXd change = VectorXd::Zero(columns);
      for (Index k = 0; k < columns; ++k) {
        const VectorXd direction = rest.eigenvectors().col(k);
        if (rest.eigenvalues()[k] > 1e-9)
          change += direction * (turned[k] / rest.eigenvalues()[k]);
        else  // nobody else says anything about it
          for (Index j = 0; j < columns; ++j)
            if (std::abs(direction[j]) > 0.05) alone[j] = std::numeric_limits<double>::infinity();
      }
      sum += change * change.transpose();
    }
    return ((many - 1) / many * sum).diagonal().cwiseMax(0).cwiseSqrt() / share + alone;
  }

  const LeastSquaresProblem& p_;
  Index n_;
  VectorXd x_, r_, at_start_;
  std::vector<bool> left_out_;
  double limit_ = 0, widening_ = 1;
  LeastSquaresFit result_;
};

}  // namespace

LeastSquaresFit least_squares(const LeastSquaresProblem& problem) {
  if (problem.unknowns.empty()) throw InternalError("a fit needs an unknown");
  for (const Unknown& u : problem.unknowns)
    if (!(u.step > 0) || !(u.lower <= u.start && u.start <= u.upper) ||
        !(u.lower <= u.first && u.first <= u.upper))
      throw InternalError("an unknown lies outside its bounds, or has no step");
  return Fit(problem).run();
}

}  // namespace isthmus::models

//! A feed-forward language model of tokens (Bengio et al., 2003): the vectors of the last tokens side by side, a hidden layer, and a
//! distribution in two steps, first over classes of about equally many tokens, then inside the class (Goodman, 2001), so
//! that a vocabulary of 20,000 costs 2 x 142 numbers a token and not 20,000.
//!
//! Floats in one fixed order on one thread: encoder and decoder agree within one build on one machine, which is what an experiment
//! needs. Archives are made by lmic's exact engine only.

/// Sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Tokens.
    pub vocabulary: usize,
    /// Width of the hidden layer; vectors of tokens are a quarter as wide.
    pub hidden: usize,
    /// Tokens that are looked at.
    pub context: usize,
}

impl Shape {
    fn embedding(self) -> usize {
        self.hidden.div_ceil(4).max(4)
    }

    fn inputs(self) -> usize {
        self.embedding() * self.context
    }
}

/// A matrix with a sum of squared gradients a row, which scales the row's steps (Adagrad, a row at a time).
#[derive(Debug, Clone)]
struct Rows {
    width: usize,
    weights: Vec<f32>,
    squares: Vec<f32>,
}

impl Rows {
    fn new(rows: usize, width: usize, scale: f32, seed: u64) -> Self {
        let noise = lmic::walk::sample(lmic::predict::Uniform, 2 * rows * width, seed);
        let weight =
            |&[a, b]: &[u8; 2]| scale * (f32::from(u16::from_le_bytes([a, b])) / 32768.0 - 1.0);
        let weights = noise.as_chunks::<2>().0.iter().map(weight).collect();
        Self { width, weights, squares: vec![1e-6; rows] }
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.weights[row * self.width..][..self.width]
    }

    /// Steps along `-slope * direction`.
    fn step(&mut self, row: usize, slope: f32, direction: &[f32], rate: f32) {
        let size: f32 = direction.iter().map(|d| d * d).sum::<f32>() / self.width as f32;
        self.squares[row] += slope * slope * size;
        let step = rate * slope / self.squares[row].sqrt();
        let weights = &mut self.weights[row * self.width..][..self.width];
        weights.iter_mut().zip(direction).for_each(|(w, d)| *w -= step * d);
    }
}

/// Sums in 16 lanes, which the compiler makes vectors of.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<16>();
    let (b, b_rest) = b.as_chunks::<16>();
    let mut lanes = [0.0f32; 16];
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            lanes[i] += a[i] * b[i]; // a fused one is a call where the target lacks it
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

/// A model of tokens.
#[derive(Debug, Clone)]
pub struct Network {
    shape: Shape,
    embedding: Rows,
    /// A constant is the last input of both layers.
    hidden: Rows,
    classes: Rows,
    members: Rows,
    /// Tokens by falling frequency; a class is a run of them.
    order: Vec<u32>,
    rank: Vec<u32>,
    /// Tokens of a class.
    class_len: usize,
}

impl Network {
    /// One that has learned from `tokens`, once through.
    pub fn learn(shape: Shape, tokens: &[u32]) -> Self {
        let mut network = Self::new(shape, tokens);
        let (mut walk, mut gradient) = (network.walk_state(), Gradient::new(shape));
        for (i, &token) in tokens.iter().enumerate() {
            let rate = 0.06 * (1.0 - 0.9 * i as f32 / tokens.len() as f32);
            network.forward(&mut walk);
            network.backward(&mut walk, &mut gradient, token, rate);
            walk.push(token);
        }
        network
    }

    fn new(shape: Shape, tokens: &[u32]) -> Self {
        let mut counts = vec![0u64; shape.vocabulary];
        tokens.iter().for_each(|&token| counts[token as usize] += 1);
        let mut order: Vec<u32> = (0..shape.vocabulary as u32).collect();
        order.sort_by_key(|&token| (std::cmp::Reverse(counts[token as usize]), token));
        let mut rank = vec![0; shape.vocabulary];
        order.iter().enumerate().for_each(|(at, &token)| rank[token as usize] = at as u32);
        let class_len = (shape.vocabulary as f64).sqrt().ceil().max(1.0) as usize;
        let classes = shape.vocabulary.div_ceil(class_len);
        let (inputs, hidden) = (shape.inputs() + 1, shape.hidden + 1);
        let scale = |width: usize| (3.0 / width as f32).sqrt();
        Self {
            shape,
            embedding: Rows::new(shape.vocabulary, shape.embedding(), 0.5, 1),
            hidden: Rows::new(shape.hidden, inputs, scale(inputs), 2),
            classes: Rows::new(classes, hidden, 0.01, 3),
            members: Rows::new(shape.vocabulary, hidden, 0.01, 4),
            order,
            rank,
            class_len,
        }
    }

    /// All numbers that were learned.
    pub fn params(&self) -> u64 {
        [&self.embedding, &self.hidden, &self.classes, &self.members]
            .iter()
            .map(|rows| rows.weights.len() as u64)
            .sum()
    }

    /// Class of a token and its place there.
    pub fn place(&self, token: u32) -> (usize, usize) {
        let rank = self.rank[token as usize] as usize;
        (rank / self.class_len, rank % self.class_len)
    }

    /// The token of a place.
    pub fn token(&self, class: usize, member: usize) -> u32 {
        self.order[class * self.class_len + member]
    }

    fn of_class(&self, class: usize) -> std::ops::Range<usize> {
        let start = class * self.class_len;
        start..(start + self.class_len).min(self.order.len())
    }

    /// Goes over tokens with what has been learned.
    pub fn walk(&self) -> Walk<'_> {
        Walk { network: self, state: self.walk_state(), is_fresh: false }
    }

    fn walk_state(&self) -> State {
        let shape = self.shape;
        let mut state = State {
            recent: vec![self.order[0]; shape.context],
            inputs: vec![1.0; shape.inputs() + 1],
            hidden: vec![1.0; shape.hidden + 1],
            classes: vec![0.0; self.order.len().div_ceil(self.class_len)],
            members: vec![0.0; self.class_len],
        };
        state.recent.shrink_to_fit();
        state
    }

    /// From the last tokens to the hidden layer and the classes.
    fn forward(&self, state: &mut State) {
        let width = self.shape.embedding();
        for (vector, &token) in state.inputs.chunks_exact_mut(width).zip(&state.recent) {
            vector.copy_from_slice(self.embedding.row(token as usize));
        }
        for unit in 0..self.shape.hidden {
            state.hidden[unit] = dot(self.hidden.row(unit), &state.inputs).tanh();
        }
        for class in 0..state.classes.len() {
            state.classes[class] = dot(self.classes.row(class), &state.hidden);
        }
        softmax(&mut state.classes);
    }

    /// The distribution inside a class.
    fn inside(&self, state: &mut State, class: usize) {
        let of_class = self.of_class(class);
        state.members.clear();
        for at in of_class {
            state.members.push(dot(self.members.row(at), &state.hidden));
        }
        softmax(&mut state.members);
    }

    /// Learns the token that came.
    fn backward(&mut self, state: &mut State, gradient: &mut Gradient, token: u32, rate: f32) {
        let (class, member) = self.place(token);
        self.inside(state, class);
        gradient.hidden.fill(0.0);
        let start = self.of_class(class).start;
        for (rows, probs, target, first) in [
            (&mut self.classes, &state.classes, class, 0),
            (&mut self.members, &state.members, member, start),
        ] {
            for (i, &p) in probs.iter().enumerate() {
                let slope = p - if i == target { 1.0 } else { 0.0 };
                // What hardly matters is not worth the time.
                if slope.abs() < 1e-4 {
                    continue;
                }
                let row = rows.row(first + i);
                gradient.hidden.iter_mut().zip(row).for_each(|(g, w)| *g += slope * w);
                rows.step(first + i, slope, &state.hidden, rate);
            }
        }
        gradient.inputs.fill(0.0);
        for unit in 0..self.shape.hidden {
            let value = state.hidden[unit];
            let slope = gradient.hidden[unit] * (1.0 - value * value);
            let row = self.hidden.row(unit);
            gradient.inputs.iter_mut().zip(row).for_each(|(g, w)| *g += slope * w);
            self.hidden.step(unit, slope, &state.inputs, rate);
        }
        let width = self.shape.embedding();
        for (vector, &token) in gradient.inputs.chunks_exact(width).zip(&state.recent) {
            self.embedding.step(token as usize, 1.0, vector, rate);
        }
    }
}

fn softmax(values: &mut [f32]) {
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter_mut().for_each(|value| *value = (*value - most).exp());
    let sum: f32 = values.iter().sum();
    values.iter_mut().for_each(|value| *value /= sum);
}

/// What a network is at.
#[derive(Debug)]
struct State {
    recent: Vec<u32>,
    inputs: Vec<f32>,
    hidden: Vec<f32>,
    classes: Vec<f32>,
    members: Vec<f32>,
}

impl State {
    fn push(&mut self, token: u32) {
        self.recent.rotate_left(1);
        if let Some(last) = self.recent.last_mut() {
            *last = token;
        }
    }
}

/// Buffers of learning.
struct Gradient {
    hidden: Vec<f32>,
    inputs: Vec<f32>,
}

impl Gradient {
    fn new(shape: Shape) -> Self {
        Self { hidden: vec![0.0; shape.hidden + 1], inputs: vec![0.0; shape.inputs() + 1] }
    }
}

/// A network going over tokens: ask for classes, then for the members of one, then push the token.
pub struct Walk<'a> {
    network: &'a Network,
    state: State,
    is_fresh: bool,
}

impl Walk<'_> {
    /// The distribution over classes.
    pub fn classes(&mut self) -> &[f32] {
        if !self.is_fresh {
            self.network.forward(&mut self.state);
            self.is_fresh = true;
        }
        &self.state.classes
    }

    /// The distribution over the members of a class, after [`Walk::classes`].
    pub fn members(&mut self, class: usize) -> &[f32] {
        self.network.inside(&mut self.state, class);
        &self.state.members
    }

    /// The token that came.
    pub fn push(&mut self, token: u32) {
        self.state.push(token);
        self.is_fresh = false;
    }
}

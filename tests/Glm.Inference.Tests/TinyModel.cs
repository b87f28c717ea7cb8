using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Inference.Tests;

/// <summary>A random model of two layers, and a vocabulary that was trained on a few sentences, smaller than the model's.</summary>
internal static class TinyModel
{
    public static Glm130BConfig Config { get; } = new()
    {
        NumLayers = 2,
        HiddenSize = 32,
        InnerHiddenSize = 48,
        NumAttentionHeads = 2,
        VocabSize = 400,
        MaxSequenceLength = 64,
    };

    public static Tokenizer Tokenizer { get; } = new GlmTokenizer(UnigramTrainer.Train(
        Enumerable.Range(0, 40).Select(i => $"The {i}th cat sat on the mat, and 猫坐在垫子上 {i % 7} times; then it said: good night!"),
        new UnigramTrainerOptions { VocabularySize = 390, Threads = 1 }));

    public static Glm130B Create(ulong seed = 1, int maxSequenceLength = 64)
    {
        var config = Config with { MaxSequenceLength = maxSequenceLength };
        var weights = Initialization.DeepNorm(config, seed);
        // Without this the tied embedding makes every token predict itself.
        TensorMath.FillNormal(weights["transformer.final_layernorm.weight"], 5, seed, stream: 1000);
        return new Glm130B(config, name => weights[name]);
    }
}

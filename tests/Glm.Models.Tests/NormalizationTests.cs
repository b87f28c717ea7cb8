using Glm.Tensors;

namespace Glm.Models.Tests;

/// <summary>Where layers normalise: the model's layers against the formulas written out, and its gradients against differences.</summary>
public sealed class NormalizationTests
{
    private const int Hidden = 12, Tokens = 7;

    public static TheoryData<Normalization> Kinds => [.. Enum.GetValues<Normalization>()];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Layers_follow_their_formula(Normalization kind)
    {
        var (config, weights) = Random(kind);
        using var workers = new Workers(2);
        var context = new Context(workers);
        float[][] seen = new float[3][];
        var model = new Glm130B(config, name => weights[name]);
        Forward(context, model, (layer, x) => seen[layer + 1] = x.ToArray());
        var positions = context.Integers([.. Enumerable.Range(0, Tokens)]);
        for (int layer = 0; layer < 2; layer++)
        {
            var x = context.Floats(seen[layer], Tokens, Hidden);
            var a = Norm(x, "input_layernorm");
            var residual = kind is Normalization.PreLn or Normalization.SandwichLn ? x : a;
            var y = context.Residual(residual, After(Attention(a), "third_layernorm"), kind == Normalization.DeepNorm ? 2 : 1);
            var m = Norm(y, "post_attention_layernorm");
            var f = Linear(context.GeGlu(Linear(m, "mlp.dense_h_to_4h")), "mlp.dense_4h_to_h");
            var z = context.Residual(kind is Normalization.PreLn or Normalization.SandwichLn ? y : m, After(f, "fourth_layernorm"), kind == Normalization.DeepNorm ? 2 : 1);
            Assert.Equal(z.ToArray(), seen[layer + 1]);

            Tensor Weight(string name) => weights[$"transformer.layers.{layer}.{name}"];
            Tensor Linear(Tensor input, string name) => context.Linear(input, Weight(name + ".weight"), Weight(name + ".bias"));
            Tensor Norm(Tensor input, string name) => context.LayerNorm(input, Weight(name + ".weight"), Weight(name + ".bias"), config.LayernormEpsilon);
            Tensor After(Tensor input, string name) => kind == Normalization.SandwichLn ? Norm(input, name) : input;
            Tensor Attention(Tensor input)
            {
                var tables = new RotaryTables(config.MaxSequenceLength, config.HeadSize, config.RotaryMode);
                var qkv = context.Rotary(Linear(input, "attention.query_key_value"), model.Heads, positions, tables.Cos, tables.Sin);
                return Linear(context.Attention(qkv, model.Heads, [new(0, Tokens, 3)]), "attention.dense");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Gradients_are_those_of_differences(Normalization kind)
    {
        var (config, weights) = Random(kind);
        using var workers = new Workers(1);
        var context = new Context(workers);
        foreach (var tensor in weights.Values) tensor.RequiresGradient = true;
        var model = new Glm130B(config, name => weights[name]);
        context.Record();
        context.Backward(Loss());
        foreach (var (name, tensor) in weights)
        {
            float[] values = tensor.ToArray(), gradient = tensor.Gradient!.ToArray();
            int i = Array.IndexOf(gradient, gradient.MaxBy(Math.Abs));
            double difference = (At(i, 1e-2f) - At(i, -1e-2f)) / 2e-2;
            Assert.InRange(gradient[i], difference - 2e-3 - 0.02 * Math.Abs(difference), difference + 2e-3 + 0.02 * Math.Abs(difference));

            double At(int index, float step)
            {
                float[] moved = (float[])values.Clone();
                moved[index] += step;
                tensor.CopyFrom(moved);
                context.Reset();
                double loss = Loss().ToArray()[0];
                tensor.CopyFrom(values);
                return loss;
            }
        }

        Tensor Loss()
        {
            var hidden = Forward(context, model, null);
            return context.CrossEntropy(model.Logits(context, hidden), context.Integers([1, 2, 3, 4, 5, 6, 7]), context.Floats([.. Enumerable.Repeat(1f / Tokens, Tokens)], Tokens)).Loss;
        }
    }

    private static Tensor Forward(Context context, Glm130B model, Action<int, Tensor>? observe) => model.Forward(
        context, context.Integers([3, 1, 4, 1, 5, 9, 2]), context.Integers([.. Enumerable.Range(0, Tokens)]), model.Within(context, [new(0, Tokens, 3)]), observe);

    /// <summary>A model with nothing at 0 or 1 that a formula could leave out unseen.</summary>
    private static (Glm130BConfig Config, Dictionary<string, Tensor> Weights) Random(Normalization kind)
    {
        var config = new Glm130BConfig { NumLayers = 2, HiddenSize = Hidden, InnerHiddenSize = 10, NumAttentionHeads = 2, VocabSize = 11, MaxSequenceLength = 16, Normalization = kind };
        var random = new Random(5);
        return (config, config.Parameters().ToDictionary(p => p.Name, p => Tensor.From(
            [.. Enumerable.Range(0, p.Shape.Aggregate(1, (a, b) => a * b)).Select(_ => (random.NextSingle() - 0.5f) + (p.Name.EndsWith("layernorm.weight") ? 1 : 0))], p.Shape)));
    }
}

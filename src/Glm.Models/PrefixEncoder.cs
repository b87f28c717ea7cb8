using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// The prefix encoder of P-Tuning v2 as the originals' training saves it (ChatGLM spec 14.1): an embedding whose rows are the keys and values of virtual tokens, or become
/// them through W2 tanh(W0 e + b0) + b2.
/// </summary>
internal static class PrefixEncoder
{
    private const string Name = "prefix_encoder.";

    /// <summary>Bound of the number of virtual tokens; the originals have 128.</summary>
    private const int LargestCount = 1 << 14;

    /// <summary>The model with the virtual tokens.</summary>
    /// <exception cref="GlmException">The encoder is not there, or is that of another model.</exception>
    public static LanguageModel Apply(TensorStore store, LanguageModel model, Workers workers)
    {
        if (!Fits(model))
            throw new GlmException($"{store.Path}: expected a ChatGLM or GLM-130B for an adapter of P-Tuning v2, found the architecture {model.Config.Architecture}");
        string prefix = store.FindInfo("transformer." + Name + "embedding.weight") is not null ? "transformer." + Name : Name;
        int width = 2 * model.NumLayers * model.Heads.KeyValueHeads * model.Heads.HeadSize;
        var embedding = store[prefix + "embedding.weight"];
        bool projected = store.FindInfo(prefix + "trans.0.weight") is not null;
        if (!embedding.Type.IsFloat() || embedding.Shape is not [> 0 and <= LargestCount, var columns] || (!projected && columns != width))
            throw new GlmException($"{store.FileOf(prefix + "embedding.weight")}: {prefix}embedding.weight: expected floating-point numbers [1 to {LargestCount}, {(projected ? "width" : width)}], found {embedding}");
        var adapted = model.With(name => model.Parameters.First(p => p.Name == name).Tensor);
        adapted.VirtualTokens = VirtualTokens.Of(model.Config.Shape, projected ? Project(store, prefix, embedding, width, workers) : embedding);
        return adapted;
    }

    /// <summary>Whether an architecture takes virtual tokens.</summary>
    public static bool Fits(LanguageModel model) => model.Config is ChatGlm6BConfig or ChatGlm2Config or Glm130BConfig;

    /// <summary>Saves virtual tokens as an embedding without a projection, in the file that <see cref="Apply"/> reads.</summary>
    public static void Save(string path, LanguageModel model, VirtualTokens tokens)
    {
        var embedding = tokens.KeyValues(model.Config.Shape);
        TorchWriter.Write(Path.Combine(path, "pytorch_model.bin"), [new TensorEntry("transformer." + Name + "embedding.weight", DType.Float32, embedding.Shape.ToArray(), () => embedding)]);
    }

    private static Tensor Project(TensorStore store, string prefix, Tensor embedding, int width, Workers workers)
    {
        var first = store[prefix + "trans.0.weight"];
        int inner = first.Shape is [var rows, _] ? rows : 0;
        var context = new Context(workers);
        var hidden = context.Linear(embedding, Required(first, "trans.0.weight", [inner, embedding.Columns]), Required(store[prefix + "trans.0.bias"], "trans.0.bias", [inner]));
        var turned = context.Floats(Array.ConvertAll(hidden.ToArray(), MathF.Tanh), embedding.Rows, inner);
        return context.Linear(turned, Required(store[prefix + "trans.2.weight"], "trans.2.weight", [width, inner]), Required(store[prefix + "trans.2.bias"], "trans.2.bias", [width]));

        Tensor Required(Tensor tensor, string name, int[] shape) => tensor.Type.IsFloat() && tensor.Shape.SequenceEqual(shape) ? tensor.To(DType.Float32)
            : throw new GlmException($"{store.FileOf(prefix + name)}: {prefix}{name}: expected floating-point numbers [{string.Join(", ", shape)}], found {tensor}");
    }
}

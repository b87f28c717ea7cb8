using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Models.Tests;

/// <summary>The tiny model of the reference vectors and the batches that were run through the original code.</summary>
internal static class ReferenceModel
{
    public static string Folder => Path.Combine(TestFiles.Reference, "glm130b-tiny");

    public static Glm130BConfig Config(RotaryMode mode = RotaryMode.Fp16InverseFrequency) =>
        Glm130BConfig.Load(Path.Combine(Folder, "config.json")) with { RotaryMode = mode };

    public static SafetensorsFile Weights() => SafetensorsFile.Open(Path.Combine(Folder, "weights.safetensors"));

    public static Glm130B Load(RotaryMode mode = RotaryMode.Fp16InverseFrequency)
    {
        var weights = Weights();
        return new Glm130B(Config(mode), name => weights[name]);
    }

    /// <summary>Integers times scales, which the original rounds to float16 and packed weights do not.</summary>
    public static Tensor Unrounded(Tensor quantized)
    {
        int columns = quantized.Columns;
        byte[] bytes = new byte[quantized.Bytes];
        quantized.CopyBytesTo(bytes);
        float[] scales = quantized.Scales!.ToArray();
        return Tensor.From([.. Enumerable.Range(0, (int)quantized.Count).Select(i =>
            scales[i / columns] * (quantized.Type == DType.Int8 ? (sbyte)bytes[i] : i % 2 == 0 ? (sbyte)bytes[i / 2] >> 4 : (sbyte)(bytes[i / 2] << 4) >> 4))], quantized.Shape);
    }

    /// <summary>The model with floating-point weights in place of the quantised ones.</summary>
    public static LanguageModel Unrounded(LanguageModel model)
    {
        var tensors = model.Parameters.ToDictionary(p => p.Name, p => p.Tensor);
        return model.Config.Create(name => tensors[name].Scales is null ? tensors[name] : Unrounded(tensors[name]));
    }

    /// <summary>The files of a folder of reference vectors, for theories.</summary>
    public static TheoryData<string> Files(string folder, string pattern) =>
        [.. Directory.GetFiles(Path.Combine(TestFiles.Reference, folder), pattern).Select(file => Path.GetFileName(file)).Order()];

    public static SafetensorsFile Case(string file) => SafetensorsFile.Open(Path.Combine(Folder, file));

    public static int[] Integers(this SafetensorsFile file, string name) => Array.ConvertAll(file[name].ToArray(), value => (int)value);

    /// <summary>
    /// The segments that stand behind dense masks <c>[batch or 1, 1, seq, seq]</c> (true = blocked), as rows of the flattened batch. Neighbouring rows
    /// that see the same first key form a segment; its first row sees the bidirectional context. The masks must follow from the rule exactly.
    /// </summary>
    public static AttentionSegment[] Segments(SafetensorsFile file, string tokens = "tokens")
    {
        var mask = file["attention_mask"];
        int length = mask.Shape[^1], batch = file[tokens].Shape[0], masks = mask.Shape[0];
        bool[] blocked = Array.ConvertAll(mask.ToArray(), value => value != 0);
        var segments = new List<AttentionSegment>();
        for (int b = 0; b < batch; b++)
        {
            bool Blocked(int row, int key) => blocked[((masks == 1 ? 0 : b) * length + row) * length + key];
            int Visible(int row) => Enumerable.Range(0, length).Count(key => !Blocked(row, key));
            int First(int row) => Enumerable.Range(0, length).FirstOrDefault(key => !Blocked(row, key), -1);
            for (int start = 0; start < length;)
            {
                int end = start + 1;
                while (end < length && First(end) == First(start)) end++;
                if (First(start) >= 0) segments.Add(new AttentionSegment(b * length + start, end - start, Visible(start)));
                start = end;
            }
            for (int row = 0; row < length; row++)
                for (int key = 0; key < length; key++)
                    Assert.Equal(!Blocked(row, key), segments.Any(s => Sees(s, b * length + row, b * length + key)));
        }
        return [.. segments];
    }

    private static bool Sees(AttentionSegment segment, int row, int key)
    {
        int i = row - segment.Start, j = key - segment.Start;
        return i >= 0 && i < segment.Length && j >= 0 && j < segment.Length && (j < segment.Division || j <= i);
    }
}

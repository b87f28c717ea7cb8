using System.Text.Json;
using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Cli.Tests;

public sealed class ConvertTests(TinyModel model) : IClassFixture<TinyModel>
{
    [Theory]
    [InlineData("int8")]
    [InlineData("int4")]
    public void A_saved_quantised_model_computes_what_one_quantised_on_the_fly_does(string type)
    {
        using var folder = new TemporaryFolder();
        CommandRun.Of("convert", model.Path, folder["small"], "--quantize", type, "--quiet").Success();
        var info = CommandRun.Of("info", folder["small"], "--json").Json();
        Assert.Equal(8, info.GetProperty("stored").GetProperty(type).GetProperty("tensors").GetInt32());
        string text = folder.Write("a.txt", TinyText.Document(5));
        double Bits(params string[] options) =>
            CommandRun.Of(["eval", "--tasks", "bits-per-byte", "--data", text, "--json", "--quiet", .. options]).Json().GetProperty("metrics").GetProperty("bits_per_byte").GetDouble();
        Assert.Equal(Bits("--model", model.Path, "--precision", type), Bits("--model", folder["small"]));
        CommandRun.Of("generate", "--model", folder["small"], "--max-new-tokens", "3", "The [MASK] sea").Success();
    }

    [Fact]
    public void A_quantised_model_is_not_quantised_again_and_other_folders_are_left_alone()
    {
        using var folder = new TemporaryFolder();
        CommandRun.Of("convert", model.Path, folder["small"], "--quantize", "int8", "--quiet").Success();
        CommandRun.Of("convert", folder["small"], folder["smaller"], "--quantize", "int4", "--quiet").Reason();
        Assert.False(Directory.Exists(folder["smaller"]));
        folder.Write("mine/diary.txt", "private");
        Assert.Contains("diary.txt", CommandRun.Of("convert", model.Path, folder["mine"], "--quantize", "int8", "--quiet").Reason());
    }

    [Fact]
    public void Info_reads_what_is_stored()
    {
        JsonElement info = CommandRun.Of("info", model.Path, "--json").Json();
        long parameters = info.GetProperty("parameters").GetInt64();
        Assert.Equal(4 * parameters, info.GetProperty("bytes").GetInt64());
        Assert.Equal(TinyText.VocabularySize, info.GetProperty("tokenizer").GetProperty("size").GetInt32());
        Assert.Contains("float32", CommandRun.Of("info", model.Path).Success());
    }

    /// <summary>Every checkpoint that the original's converter made, from every other of which it can be made: all ranks, all tensors, bit for bit.</summary>
    [WholeReferenceFact]
    public void Original_checkpoints_are_reproduced()
    {
        string[] sources = [.. Directory.GetDirectories(Path.Combine(TestFiles.Reference, "glm130b-tiny-checkpoints")).Where(SatCheckpoint.IsCheckpoint).Order()];
        int compared = 0;
        foreach (string to in sources)
        {
            string precision = Path.GetFileName(to).Split('-')[0];
            var expected = SatCheckpoint.Open(to);
            string[] quantize = precision.StartsWith("int", StringComparison.Ordinal) ? ["--quantize", precision] : [];
            // The quantised ones were made from a single rank of float16; shards that are joined first give the same.
            foreach (string from in sources.Where(from => Path.GetFileName(from).StartsWith(quantize.Length > 0 ? "fp16" : precision, StringComparison.Ordinal)))
            {
                using var folder = new TemporaryFolder();
                CommandRun.Of(["convert", from, folder["made"], "--format", "sat", "--tensor-parallel", $"{expected.Ranks.Count}", "--quiet", .. quantize]).Success();
                var made = SatCheckpoint.Open(folder["made"]);
                Assert.Equal((expected.Iteration, expected.Ranks.Count), (made.Iteration, made.Ranks.Count));
                foreach (var (before, after) in expected.Ranks.Zip(made.Ranks)) compared += RequireSame(before, after);
                // Through a directory of ours, which has the tensors of the architecture alone and norms in float32, the matrices are the same.
                if (quantize.Length > 0) continue;
                CommandRun.Of("convert", from, folder["ours"], "--quiet").Success();
                CommandRun.Of("convert", folder["ours"], folder["back"], "--format", "sat", "--tensor-parallel", $"{expected.Ranks.Count}", "--dtype", precision, "--quiet").Success();
                foreach (var (before, after) in expected.Ranks.Zip(SatCheckpoint.Open(folder["back"]).Ranks)) compared += RequireSame(before, after);
            }
        }
        Assert.True(compared > 0, "no checkpoint was compared");
    }

    [Fact]
    public void A_vocabulary_goes_along_and_a_result_is_reported()
    {
        using var folder = new TemporaryFolder();
        var report = CommandRun.Of("convert", model.Path, folder["hub"], "--format", "torch", "--dtype", "fp16", "--json", "--quiet").Json();
        Assert.Equal(["output", "format", "architecture", "files", "resumed_files", "bytes", "vocabulary", "seconds"], report.EnumerateObject().Select(field => field.Name));
        Assert.Equal(2 * CommandRun.Of("info", model.Path, "--json").Json().GetProperty("parameters").GetInt64(), report.GetProperty("bytes").GetInt64());
        Assert.True(report.GetProperty("vocabulary").GetBoolean());
        Assert.Equal(File.ReadAllBytes(Path.Combine(model.Path, "tokenizer.model")), File.ReadAllBytes(Path.Combine(folder["hub"], "tokenizer.model")));
        CommandRun.Of("generate", "--model", folder["hub"], "--max-new-tokens", "3", "The [MASK] sea").Success();
        var plain = CommandRun.Of("convert", model.Path, folder["ranks"], "--format", "sat", "--tensor-parallel", "2");
        Assert.Contains("2 files", plain.Success());
        Assert.Contains("of tensors", plain.Out);
    }

    [Fact]
    public void A_vocabulary_passes_between_gguf_files_and_directories()
    {
        using var folder = new TemporaryFolder();
        string file = folder["a.gguf"];
        File.WriteAllBytes(file, new TinyGguf { WithVocabulary = true }.ToArray());
        CommandRun.Of("convert", file, folder["b.gguf"], "--quantize", "q8_0", "--quiet").Success();
        Assert.Equal("q8_0", Assert.Single(CommandRun.Of("info", folder["b.gguf"], "--json").Json().GetProperty("stored").EnumerateObject(), type => type.Name != "float32").Name);
        Assert.Equal(CommandRun.Of("tokenize", "encode", "--model", file, "ab").Success(), CommandRun.Of("tokenize", "encode", "--model", folder["b.gguf"], "ab").Success());
        var directory = CommandRun.Of("convert", file, folder["directory"], "--json", "--quiet").Json();
        Assert.True(directory.GetProperty("vocabulary").GetBoolean());
        foreach (string path in new[] { file, folder["directory"] })
            Assert.Equal("ChatGlm3", CommandRun.Of("info", path, "--json").Json().GetProperty("tokenizer").GetProperty("kind").GetString());
        Assert.Equal(CommandRun.Of("tokenize", "encode", "--model", file, "ab").Success(), CommandRun.Of("tokenize", "encode", "--model", folder["directory"], "ab").Success());
        string Logits(string path) => CommandRun.Of("logits", "--model", path, "--ids", "1,2,300", "--json").Success();
        Assert.Equal(Logits(file), Logits(folder["directory"]));
        CommandRun.Of("convert", folder["directory"], folder["back.gguf"]).Success();
        Assert.Equal(Logits(file), Logits(folder["back.gguf"]));
        Assert.Equal(CommandRun.Of("tokenize", "encode", "--model", file, "ab").Success(), CommandRun.Of("tokenize", "encode", "--model", folder["back.gguf"], "ab").Success());
    }

    [Fact]
    public void A_missing_vocabulary_is_said()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["a.gguf"], new TinyGguf().ToArray());
        var directory = CommandRun.Of("convert", folder["a.gguf"], folder["directory"]);
        directory.Success();
        Assert.Contains("has no vocabulary", directory.Error);
    }

    [Theory]
    [InlineData("tensor-parallel: expected format sat", 1, "--tensor-parallel", "2")]
    [InlineData("format gguf: expected ChatGLM2, ChatGLM3 or GLM-4, found glm-130b: GGUF has no such architecture", 1, "--format", "gguf")]
    [InlineData("--tensor-parallel: expected a number from 1 to 4096", 2, "--tensor-parallel", "0")]
    [InlineData("int3", 2, "--quantize", "int3")]
    [InlineData("ggml", 2, "--format", "ggml")]
    [InlineData("fp8", 2, "--dtype", "fp8")]
    public void What_makes_no_sense_is_refused(string reason, int code, params string[] options)
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(reason, CommandRun.Of(["convert", model.Path, folder["x"], .. options]).Reason(code), StringComparison.Ordinal);
        Assert.False(Path.Exists(folder["x"]));
    }

    [Fact]
    public void Interrupted_it_leaves_nothing()
    {
        using var folder = new TemporaryFolder();
        using var interrupt = new CancellationTokenSource();
        interrupt.Cancel();
        CommandRun.With("", interactive: false, interrupt.Token, "convert", model.Path, folder["x"], "--quiet").Reason(CommandLine.Interrupted);
        Assert.False(Path.Exists(folder["x"]) || Path.Exists(folder["x.part"]));
    }

    private static int RequireSame(TensorStore expected, TensorStore found)
    {
        Assert.Equal(expected.Names.Order(), found.Names.Order());
        foreach (string name in expected.Names)
        {
            Tensor before = expected[name], after = found[name];
            Assert.Equal($"{name}: {before}", $"{name}: {after}");
            byte[] left = new byte[before.Bytes], right = new byte[after.Bytes];
            before.CopyBytesTo(left);
            after.CopyBytesTo(right);
            Assert.True(left.SequenceEqual(right), $"{found.Path}: {name}");
        }
        return expected.Names.Count;
    }
}

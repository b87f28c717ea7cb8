using Glm.Tensors;

namespace Glm.Formats.Tests;

/// <summary>Checkpoints in the original's layout: what is written is read, and what is missing is named.</summary>
public sealed class SatTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-formats").FullName;

    private string Target => Path.Combine(_folder, "sat");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("49300", 1)]
    [InlineData("release", 3)]
    [InlineData("7", 12)]
    public void What_is_written_is_read_back(string iteration, int ranks)
    {
        Write(iteration, ranks);
        File.AppendAllText(Path.Combine(Target, "latest"), "\n");
        var checkpoint = SatCheckpoint.Open(Target);
        Assert.Equal((iteration, ranks), (checkpoint.Iteration, checkpoint.Ranks.Count));
        for (int rank = 0; rank < ranks; rank++) Assert.Equal([rank], checkpoint.Ranks[rank]["w"].ToArray());
        Write("1", 1);
        Assert.Equal(["1", "latest"], Directory.GetFileSystemEntries(Target).Select(path => Path.GetFileName(path)).Order());
    }

    [Theory]
    [InlineData("", "expected the number of an iteration or \"release\", found \"\"")]
    [InlineData("..", "found \"..\"")]
    [InlineData("-1", "found \"-1\"")]
    [InlineData("1/2", "found \"1/2\"")]
    [InlineData("49301", "expected the folder 49301, which latest names, found none")]
    [InlineData("1234567890123456789", "expected the number of an iteration")]
    [InlineData("1234567890123456789012345678901234567890123456789012345678901234567890", "found 70 bytes")]
    public void A_wrong_iteration_is_refused(string latest, string reason)
    {
        Write("49300", 1);
        File.WriteAllText(Path.Combine(Target, "latest"), latest);
        Assert.Contains(reason, Assert.Throws<GlmException>(() => SatCheckpoint.Open(Target)).Message);
    }

    [Fact]
    public void What_is_missing_or_wrong_is_named()
    {
        Assert.Contains("latest", Assert.Throws<GlmException>(() => SatCheckpoint.Open(Target)).Message);
        Write("49300", 3);
        string Rank(string number) => Path.Combine(Target, "49300", $"mp_rank_{number}_model_states.pt");
        File.Delete(Rank("01"));
        Assert.Contains("mp_rank_01_model_states.pt: expected the files of 3 ranks, found this one missing", Assert.Throws<GlmException>(() => SatCheckpoint.Open(Target)).Message);
        File.Copy(Rank("00"), Rank("01"));
        File.Copy(Rank("00"), Rank("002"));
        Assert.Contains("mp_rank_002_model_states.pt: expected the name", Assert.Throws<GlmException>(() => SatCheckpoint.Open(Target)).Message);
        File.Move(Rank("002"), Rank("-1"));
        Assert.Contains("mp_rank_-1_model_states.pt: expected the name", Assert.Throws<GlmException>(() => SatCheckpoint.Open(Target)).Message);
        File.Move(Rank("-1"), Rank("99999"));
        Assert.Contains("up to 4095", Assert.Throws<GlmException>(() => SatCheckpoint.Open(Target)).Message);
        File.Delete(Rank("99999"));
        TorchWriter.Write(Rank("01"), [Entry(1)]);
        Assert.Contains("mp_rank_01_model_states.pt: data.pkl: expected a dict under the key module", Assert.Throws<GlmException>(() => SatCheckpoint.Open(Target)).Message);
        File.WriteAllBytes(Rank("01"), File.ReadAllBytes(Rank("00"))[..^1]);
        Assert.StartsWith(Rank("01"), Assert.Throws<GlmException>(() => SatCheckpoint.Open(Target)).Message);
        foreach (string file in Directory.GetFiles(Path.Combine(Target, "49300"))) File.Delete(file);
        Assert.Contains("found no file of a rank", Assert.Throws<GlmException>(() => SatCheckpoint.Open(Target)).Message);
    }

    [Fact]
    public void Only_a_checkpoint_is_replaced()
    {
        Directory.CreateDirectory(Target);
        File.WriteAllText(Path.Combine(Target, "thesis.txt"), "dear");
        Assert.Contains("found thesis.txt in it", Assert.Throws<GlmException>(() => Write("1", 1)).Message);
        File.Delete(Path.Combine(Target, "thesis.txt"));
        Write("1", 1);
        Directory.CreateDirectory(Path.Combine(Target, "2"));
        Assert.Contains("found 2 in it", Assert.Throws<GlmException>(() => Write("1", 1)).Message);
        Assert.Throws<GlmException>(() => SatCheckpoint.Write(Path.Combine(_folder, "other"), "../1", [[Entry(1)]]));
        Assert.Equal([Target], Directory.GetFileSystemEntries(_folder));
    }

    private void Write(string iteration, int ranks) =>
        SatCheckpoint.Write(Target, iteration, [.. Enumerable.Range(0, ranks).Select(rank => (IReadOnlyList<TensorEntry>)[Entry(rank)])]);

    private static TensorEntry Entry(int value) => new("w", DType.Float32, [1], () => Tensor.From([value], 1));
}
